"""`python -m napari_meunet`: the command `meunet`, for `torchrun` and odd paths."""

from napari_meunet.cli import main

raise SystemExit(main())
