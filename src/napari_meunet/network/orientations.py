"""How a scan may lie: turned and flipped in ways that mean the same to a model."""

from functools import cache
from itertools import combinations, permutations, product

from napari_meunet.config import Turn
from napari_meunet.network.card import Card, TrainingRecord

Axes = tuple[int, ...]

AXES: Axes = (-3, -2, -1)
"""z, y, x."""

FREE: dict[Turn, Axes] = {"any": AXES, "about_z": AXES[1:], "none": ()}
"""The axes that right angles may turn."""


@cache
def orientations(turn: Turn, *, mirror: bool) -> list[tuple[Axes, Axes]]:
    """Return how a patch may lie: an order of its axes, and those to flip after that.

    A solid body turns with an even number of exchanges and flips.
    """
    free = FREE[turn]
    orders = [(*AXES[: 3 - len(free)], *moved) for moved in permutations(free)]
    flips = [each for n in range(4) for each in combinations(AXES, n)]
    if mirror:
        return list(product(orders, flips))
    return [
        (order, flipped)
        for order, flipped in product(orders, flips)
        if set(flipped) <= set(free) and (len(flipped) + _n_exchanges(order)) % 2 == 0
    ]


def flips_alike(card: Card) -> tuple[Axes, ...]:
    """Return each set of axes along which a scan may be flipped for a model.

    They are those along which all trainings on its card flipped patches: all 8 sets, or
    half turns alone, of two axes, for classes that differ by their side. No axis, the
    scan itself, always comes first; it is the only one if the card has no training.
    """
    learned = [_flips_learned(record) for record in card.training] or [[()]]
    every = _flips("none", mirror=True)
    return tuple(each for each in every if all(each in some for some in learned))


def _flips_learned(record: TrainingRecord) -> list[Axes]:
    config = record.config  # as it was then: any JSON
    if config.get("augmentation") != "full":
        return [()]
    turn: Turn = next((each for each in FREE if each == config.get("turn")), "none")
    return _flips(turn, mirror=config.get("mirror") is True)


def _flips(turn: Turn, *, mirror: bool) -> list[Axes]:
    """Return the orientations that leave the order of the axes as it is."""
    return [
        flips for order, flips in orientations(turn, mirror=mirror) if order == AXES
    ]


def _n_exchanges(order: Axes) -> int:
    """Return how many pairs of axes stand the wrong way round."""
    return sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
