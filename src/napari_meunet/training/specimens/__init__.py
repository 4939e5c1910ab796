"""The labelled scans that are there: found, checked, split and named."""
