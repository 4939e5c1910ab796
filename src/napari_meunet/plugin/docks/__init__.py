"""What people open in napari: one dock a file, and the parts that only it has."""
