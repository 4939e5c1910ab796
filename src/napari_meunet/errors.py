"""The one exception that is meant for users."""


class MeUNetError(Exception):
    """A mistake or a limit that the user can act on.

    The message says the rule, the value got and the remedy, for example
    ``spacing must be positive along every axis, got (0.0, 2.95, 2.95); pass
    --spacing Z Y X in micrometres``. It does not derive from `RuntimeError`,
    because napari's generator workers swallow that class.
    """
