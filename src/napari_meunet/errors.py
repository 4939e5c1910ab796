"""The one exception that is meant for users."""


class MeUNetError(Exception):
    """A mistake or a limit that the user can act on.

    The message says the rule, the value got and the remedy, for example
    ``spacing must be positive along every axis, got (0.0, 2.95, 2.95); pass
    --spacing Z Y X in micrometres``. It does not derive from `RuntimeError`,
    because napari's generator workers swallow that class.
    """


class ChoiceError(MeUNetError):
    """A file holds several of something, and one must be chosen.

    Parameters
    ----------
    message
        For the user.
    name
        What must be chosen: ``"channel"`` or ``"time"``.
    size
        How many there are; the choice is counted from 0.
    """

    def __init__(self, message: str, name: str, size: int) -> None:
        super().__init__(message)
        self.name = name
        self.size = size
