"""Any microCT file as a lazy volume ``(z, y, x)`` with its spacing."""
