"""Segment and correct microCT volumes larger than memory."""

from importlib.metadata import version

__version__ = version("napari-meunet")
