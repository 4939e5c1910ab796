"""Phantoms, patches, losses, the training loop and its figures of merit."""
