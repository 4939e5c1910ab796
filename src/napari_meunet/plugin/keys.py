"""The keys of the Correct dock, as they are set in napari's preferences."""

from collections.abc import Mapping
from types import MappingProxyType

from app_model.types import KeyCode
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.notifications import show_warning

PLUGIN = "napari-meunet"

PROPOSED: Mapping[str, str] = MappingProxyType(
    {
        "next_place": "N",
        "place_before": "Shift-N",
        "reviewed": "R",
        "keep_plane": "K",
        "apply_tool": "A",
        "interpolate": "I",
        "copy_before": "C",
        "copy_after": "Shift-C",
        "fill_island": "G",
    }
)
"""What the manifest proposes: keys by what they do."""


def chosen_keys() -> Mapping[str, str]:
    """Return the key of everything that has one.

    If those in the preferences do not do, a warning says why, and it is those that the
    manifest proposes. So it is with napari 0.8, which has no preferences of plugins.
    """
    try:
        from napari.settings import get_plugin_settings

        chosen = get_plugin_settings(PLUGIN).keys_of_correct.model_dump()
    except (ImportError, KeyError):
        return PROPOSED
    problem = _problem(chosen)
    if not problem:
        return chosen
    show_warning(f"{problem}; the proposed ones are used, change them in Preferences")
    return PROPOSED


def in_words(key: str) -> str:
    """Return a key as people write it, such as ``Shift+C``; empty if there is none."""
    binding = coerce_keybinding(key) if key.strip() else None
    if binding is None or any(part.key == KeyCode.UNKNOWN for part in binding.parts):
        return ""
    return str(binding)


def _problem(chosen: Mapping[str, str]) -> str:
    """Return what is wrong with keys; empty if nothing is."""
    known: dict[str, str] = {}
    for act, key in chosen.items():
        words = in_words(key)
        if not words:
            return f"keys must be written like N or Shift-C, got {key!r} for {act}"
        if words in known:
            return f"keys must differ, got {words} for {known[words]} and {act}"
        known[words] = act
    return ""
