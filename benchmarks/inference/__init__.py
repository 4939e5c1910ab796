"""Time and memory of labelling a volume, beside the tools that others use."""
