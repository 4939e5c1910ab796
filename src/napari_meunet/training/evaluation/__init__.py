"""Figures of merit of label maps."""
