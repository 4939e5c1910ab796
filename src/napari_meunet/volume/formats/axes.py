"""From the axes of a file to (z, y, x)."""

from napari_meunet.config import Shape
from napari_meunet.errors import ChoiceError, MeUNetError

Selection = tuple[int | slice, ...]
"""An index into an array with the axes of a file that leaves (z, y, x)."""


def select_zyx(
    axes: str,
    shape: tuple[int, ...],
    channel: int | None = None,
    time: int | None = None,
) -> Selection:
    """Return the index that takes the volume out of an array.

    Parameters
    ----------
    axes
        One lower-case letter an axis: z, y, x, c (channel), t (time), s (the samples
        of a colour); others only along axes of length 1.
    shape
        Lengths along `axes`.
    channel, time
        What to take where there are several; counted from 0.

    Raises
    ------
    ChoiceError
        If a channel or time must be chosen.
    MeUNetError
        If z, y or x is missing or they have another order, if the image is in
        colour, or if the channel or time is not in the file.
    """
    _check_one_grey_volume(axes, shape)
    sizes = dict(zip(axes, shape, strict=True))
    chosen = {
        "c": _one_of("channel", sizes.get("c", 1), channel),
        "t": _one_of("time", sizes.get("t", 1), time),
    }
    return tuple(slice(None) if axis in "zyx" else chosen.get(axis, 0) for axis in axes)


def _check_one_grey_volume(axes: str, shape: tuple[int, ...]) -> None:
    lengths = list(zip(axes, shape, strict=True))
    for axis, size in lengths:
        if axis == "s" and size > 1:
            raise MeUNetError(
                f"a volume has one grey value a voxel, got a colour image with {size} "
                "samples; convert it to 8-bit or 16-bit grey"
            )
    if "".join(axis for axis in axes if axis in "zyx") != "zyx":
        raise MeUNetError(
            f"a volume has the axes z, y, x, got {_listed(axes, shape)}; open the "
            "folder of all slices, or save the planes along z"
        )
    if any(axis not in "zyxct" and size != 1 for axis, size in lengths):
        raise MeUNetError(
            f"a volume has the axes z, y, x, got {_listed(axes, shape)}; save one "
            "volume a file"
        )


def last_axes(axes: str, n: int) -> str:
    """Return the last `n` letters of `axes`, with "-" in front if there are fewer."""
    letters = axes.rjust(n, "-")
    return letters[len(letters) - n :]


def selected_shape(shape: tuple[int, ...], selection: Selection) -> Shape:
    """Return the shape (z, y, x) that `selection` leaves of `shape`."""
    z, y, x = (
        size
        for size, part in zip(shape, selection, strict=True)
        if isinstance(part, slice)
    )
    return z, y, x


def _one_of(name: str, size: int, index: int | None) -> int:
    numbers = f"--{name} 0" if size == 1 else f"--{name} 0 to {size - 1}"
    if index is None and size > 1:
        plural = "channels" if name == "channel" else "time points"
        raise ChoiceError(
            f"a volume has one {name}, got {size} {plural}; pass {numbers}", name, size
        )
    if index is not None and not 0 <= index < size:
        raise MeUNetError(f"{name} must be in the file, got {index}; pass {numbers}")
    return index or 0


def _listed(axes: str, shape: tuple[int, ...]) -> str:
    return " ".join(
        f"{axis}={size}" for axis, size in zip(axes, shape, strict=True) if axis != "-"
    )
