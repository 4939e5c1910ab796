"""Labels on disk: one folder beside the scan, painted on as if it were in memory."""
