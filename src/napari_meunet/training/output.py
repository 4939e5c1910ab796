"""Where a training writes: the model, and beside it what is needed until it is done."""

import tempfile
from pathlib import Path

from napari_meunet.atomic import writing
from napari_meunet.errors import MeUNetError

MODEL_SUFFIX = ".safetensors"

_CANDIDATE = ".candidate"


def require_writable(output: Path) -> None:
    """Find out before hours of training whether the model can be written.

    Raises
    ------
    MeUNetError
        If the name has another suffix than that of a model, or nothing can be
        written into its folder.
    """
    if output.suffix != MODEL_SUFFIX:
        raise MeUNetError(
            f"the output must end in {MODEL_SUFFIX}, got {output.name!r}; change its "
            "name"
        )
    with writing(output), tempfile.TemporaryFile(dir=output.parent):
        pass


def state_path(output: Path) -> Path:
    """Return where the state of an unfinished training lies."""
    return output.with_suffix(".unfinished.pt")


def candidate_path(output: Path, key: str) -> Path:
    """Return where a model lies until it has shown that it is better.

    Parameters
    ----------
    output
        Where it goes then.
    key
        Of the lesson that it comes from.
    """
    return output.with_suffix(f".{key}{_CANDIDATE}{MODEL_SUFFIX}")


def candidates(output: Path) -> list[Path]:
    """Return what lessons have left that were stopped: models, and states."""
    return [
        path
        for path in output.parent.iterdir()
        if path.name.startswith(f"{output.stem}.") and f"{_CANDIDATE}." in path.name
    ]


def log_path(output: Path) -> Path:
    """Return where loss and Dice are written, see `napari_meunet.training.log`."""
    return output.with_suffix(".training.csv")  # `NAME.csv` may be a person's own
