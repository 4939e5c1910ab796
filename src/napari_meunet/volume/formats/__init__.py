"""One file for each format that `napari_meunet.volume.open` reads."""
