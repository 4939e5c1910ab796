"""Reproducible measurements, side by side with others."""
