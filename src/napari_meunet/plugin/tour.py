"""The way through the places of a review, the worst first."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_meunet.config import Shape
    from napari_meunet.labels.review import Review, ReviewItem


class Tour:
    """Leads from place to place, and back.

    Parameters
    ----------
    review
        Whose places.

    Attributes
    ----------
    review
        As given.
    current
        The place where one is; None before the first one, and where none is left.
    """

    def __init__(self, review: "Review") -> None:
        self.review = review
        self.current: Shape | None = None
        self._left: list[Shape] = []  # the last one is gone back to first
        self._passed_by: set[Shape] = set()

    @property
    def can_go_back(self) -> bool:
        """Whether there is a place before this one."""
        return bool(self._left)

    def go_on(self) -> "ReviewItem | None":
        """Go to the worst place that was neither reviewed nor passed by.

        When all were passed by, those come again.
        """
        here = self.current
        if here is not None:
            self._passed_by.add(here)
        places = [(int(z), int(y), int(x)) for z, y, x in self.review.queue]
        rest = [place for place in places if place not in self._passed_by]
        if not rest:  # once around
            self._passed_by.clear()
            rest = places
        self.current = rest[0] if rest else None
        if here is not None and here != self.current:
            self._left.append(here)
        return None if self.current is None else self.review.item(self.current)

    def mark(self) -> None:
        """Note that this place is right now.

        Raises
        ------
        MeUNetError
            If that cannot be written.
        """
        if self.current is not None:
            self.review.reviewed.mark(self.current)

    def go_back(self) -> "ReviewItem | None":
        """Go to the place before this one; it counts as reviewed no more.

        Raises
        ------
        MeUNetError
            If that cannot be written; one stays here then.
        """
        if not self._left:
            return None
        place = self._left[-1]
        if self.review.reviewed.places[place]:
            self.review.reviewed.mark(place, reviewed=False)
        self.current = self._left.pop()
        self._passed_by.discard(place)
        return self.review.item(place)
