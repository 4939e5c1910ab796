"""Classes as people write them: names, and values where those are not 1, 2, ..."""

from collections.abc import Iterable, Sequence

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError

COLORS = ("#000000", "#f28e2b", "#4e79a7", "#59a14f", "#e15759", "#b07aa1", "#edc948")


def named_classes(names: Iterable[str]) -> tuple[LabelClass, ...]:
    """Return the background and classes 1, 2, ... with these names.

    Raises
    ------
    MeUNetError
        If a name is empty.
    """
    return tuple(
        LabelClass.checked(value=value, name=name, color=COLORS[value % len(COLORS)])
        for value, name in enumerate(("background", *names))
    )


def unnamed_classes(n_classes: int) -> tuple[LabelClass, ...]:
    """Return classes for a model that does not name its own."""
    return named_classes(f"class {value}" for value in range(1, n_classes))


def class_table(words: Sequence[str]) -> tuple[LabelClass, ...]:
    """Return the classes that ``gut ovary`` or ``gut=1 ovary=21`` stand for.

    Raises
    ------
    MeUNetError
        If only some have a value, or a name or value is invalid or there twice.
    """
    names = [word.partition("=")[0].strip() for word in words]
    values = [word.partition("=")[2].strip() for word in words]
    _require_different(names, "names", words)
    if not any(values):
        return named_classes(names)
    if not all(value.isdecimal() and 0 < int(value) < 255 for value in values):
        raise MeUNetError(
            "values of classes must be from 1 to 254 (0 is background, 255 no label), "
            f"got {' '.join(words)}; write NAME=VALUE for each"
        )
    numbers = [int(value) for value in values]
    _require_different(numbers, "values", words)
    table = sorted(zip(numbers, names, strict=True))
    return tuple(
        LabelClass.checked(value=value, name=name, color=COLORS[i % len(COLORS)])
        for i, (value, name) in enumerate([(0, "background"), *table])
    )


def _require_different(
    given: Sequence[object], what: str, words: Sequence[str]
) -> None:
    if len(set(given)) < len(given):
        raise MeUNetError(
            f"classes must have different {what}, got {' '.join(words)}; write the "
            "names of labels 1, 2, ..., or NAME=VALUE for each"
        )


def class_words(classes: Sequence[LabelClass]) -> tuple[str, ...]:
    """Return what `class_table` makes these classes of."""
    organs = classes[1:]
    if all(label.value == i for i, label in enumerate(organs, start=1)):
        return tuple(label.name for label in organs)
    return tuple(f"{label.name}={label.value}" for label in organs)
