"""Keys as they are set in napari's preferences."""

from importlib.resources import files
from types import SimpleNamespace

import napari.settings
import pytest
import yaml
from napari.components import ViewerModel

from napari_meunet.plugin import keys
from napari_meunet.plugin.docks.correct import CorrectWidget
from napari_meunet.plugin.keys import PLUGIN, PROPOSED, chosen_keys, in_words


@pytest.fixture
def prefer(monkeypatch):
    """Stand in for the preferences, which are files of the person."""

    def prefer(**changed):
        group = SimpleNamespace(model_dump=lambda: {**PROPOSED, **changed})
        settings = {PLUGIN: SimpleNamespace(keys_of_correct=group)}
        monkeypatch.setattr(
            napari.settings, "get_plugin_settings", settings.__getitem__, raising=False
        )

    return prefer


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(keys, "show_warning", said.append)
    return said


def test_the_manifest_proposes_the_same_keys():
    text = (files("napari_meunet.plugin") / "napari.yaml").read_text("utf-8")
    contributions = yaml.safe_load(text)["contributions"]
    properties = contributions["configurations"]["keys_of_correct"]["properties"]
    assert {name: each["default"] for name, each in properties.items()} == PROPOSED


def test_napari_offers_them_in_its_preferences():
    known = getattr(napari.settings, "get_plugin_settings", None)
    if known is None:
        pytest.skip("napari 0.8 has no preferences of plugins")
    assert set(known(PLUGIN).keys_of_correct.model_dump()) == set(PROPOSED)


def test_what_was_chosen_counts(prefer, warnings):
    prefer(next_place="M", copy_after="Ctrl-Alt-C")
    assert chosen_keys()["next_place"] == "M"
    assert chosen_keys()["reviewed"] == "R"
    assert not warnings


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"next_place": "R"}, "must differ, got R for next_place and reviewed"),
        ({"apply_tool": "Shift-c"}, "got Shift+C for apply_tool and copy_after"),
        ({"interpolate": "Hyper-Q"}, "like N or Shift-C, got 'Hyper-Q' for inter"),
        ({"interpolate": ""}, "like N or Shift-C, got '' for interpolate"),
    ],
)
def test_keys_that_do_not_do_are_told_and_not_used(prefer, warnings, changed, why):
    prefer(**changed)
    assert chosen_keys() == PROPOSED
    (said,) = warnings
    assert why in said


def test_without_preferences_it_is_the_proposed_ones(monkeypatch):
    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)
    assert chosen_keys() == PROPOSED


@pytest.mark.parametrize(
    ("key", "words"), [("n", "N"), ("Shift-C", "Shift+C"), ("-", "-"), ("Foo", "")]
)
def test_keys_are_told_as_people_write_them(key, words):
    assert in_words(key) == words


def test_the_dock_acts_on_the_keys_that_were_chosen(prefer, qtbot):
    prefer(next_place="M", copy_after="Alt-J")
    viewer = ViewerModel()
    widget = CorrectWidget(viewer)
    qtbot.addWidget(widget)
    bound = {str(binding) for binding in viewer.keymap}
    assert {"M", "R", "Alt+J"} <= bound
    assert "N" not in bound
    assert widget.next.text() == "Next (M)"
    assert "C and Alt+J copy" in widget.tools.about_keys.text()
