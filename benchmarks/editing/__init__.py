"""Painting on labels on disk: ours, and arrays that napari takes."""
