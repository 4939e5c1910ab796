"""How to train: a few words for most people, numbers for the others."""

from collections.abc import Iterable

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, SpinBox
from magicgui.widgets.bases import Widget
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_meunet.config import TrainingConfig, expanded_around
from napari_meunet.plugin.widgets.fields.device_field import device_field, show_device
from napari_meunet.plugin.widgets.rows import show_row

_DEFAULTS = TrainingConfig()

LENGTHS = {
    "a quick look": (150, 350),
    "normal": (_DEFAULTS.stage1_steps, _DEFAULTS.joint_steps),
    "thorough": (2000, 6000),
}
"""Steps of stage 1, and of both stages together."""

STAGES = ("stage1_steps", "joint_steps")

OWN = "own numbers of steps"

PATCHES = (64, 96, 128, 160)
"""None below `SHORTEST_STREAMED`."""

TURNS = (
    ("in all directions", "any"),
    ("about z alone", "about_z"),
    ("none", "none"),
)


class TrainingOptions:
    """Edits a `TrainingConfig`; what it does not show stays as it was set.

    Attributes
    ----------
    changed
        Emitted when a person or a program changes a field.
    """

    def __init__(self) -> None:
        self._config = _DEFAULTS
        self._form: QFormLayout | None = None
        self.length = ComboBox(
            label="How long",
            choices=[*LENGTHS, OWN],
            value="normal",
            tooltip="more steps take longer and learn more; begin with a quick look",
        )
        self.more = CheckBox(
            text="more options", tooltip="numbers for those who know them"
        )
        self._numbers = Container(
            widgets=[*_steps(), *_cubes(), *_images(), device_field()]
        )
        self.changed = self._numbers.changed
        self.length.changed.connect(self._take_length)
        for name in STAGES:
            self._numbers[name].changed.connect(self._name_length)
        self.value = _DEFAULTS

    def add_rows(self, form: QFormLayout) -> None:
        """Put the fields into a form, in line with the others there."""
        self._form = form
        form.addRow(self.length.label, self.length.native)
        form.addRow("", self.more.native)
        for field in self._numbers:
            form.addRow(field.label, field.native)

    def show_rows(self, visible: bool) -> None:
        """Show or hide the fields; numbers only for those who want them."""
        if self._form is None:
            return
        rows: list[QWidget] = [self.length.native, self.more.native]
        for row in rows:
            show_row(self._form, row, visible)
        for field in self._numbers:
            show_row(self._form, field.native, visible and self.more.value)

    @property
    def value(self) -> TrainingConfig:
        """The config as shown."""
        shown = {field.name: field.value for field in self._numbers}
        if shown["patch_size"] != self._config.patch_size:
            shown["expanded_size"] = expanded_around(shown["patch_size"])
        return TrainingConfig.checked(**self._config.model_dump() | shown)

    @value.setter
    def value(self, config: TrainingConfig) -> None:
        self._config = config
        patch_size = self._numbers["patch_size"]
        if config.patch_size not in patch_size.choices:
            patch_size.choices = _in_words((config.patch_size, *PATCHES))
        show_device(self._numbers["device"], config.device)
        for field in self._numbers:
            field.value = getattr(config, field.name)

    def _take_length(self, length: str) -> None:
        for name, steps in zip(STAGES, LENGTHS.get(length, ()), strict=False):
            self._numbers[name].value = steps

    def _name_length(self) -> None:
        steps = tuple(self._numbers[name].value for name in STAGES)
        names = [name for name, those in LENGTHS.items() if those == steps]
        with self.length.changed.blocked():
            self.length.value = names[0] if names else OWN


def _steps() -> list[Widget]:
    alone, together = STAGES
    most = 10**6
    measure = SpinBox(
        name="validation_steps",
        label="Measure every",
        min=1,
        max=most,
        tooltip="how many steps lie between two measurements of Dice on the validation "
        "scans",
    )
    return [
        SpinBox(
            name=alone,
            label="Steps, stage 1",
            max=most,
            tooltip="stage 1 finds things, alone at first",
        ),
        SpinBox(
            name=together,
            label="Steps, both stages",
            max=most,
            tooltip="then stage 2 adds detail, while both learn together",
        ),
        measure,
    ]


def _cubes() -> list[Widget]:
    return [
        ComboBox(
            name="patch_size",
            label="Cubes",
            choices=_in_words(PATCHES),
            tooltip="what the network is shown at a time; larger cubes show more of "
            "the surroundings and take more memory and time",
        ),
        SpinBox(
            name="batch_size",
            label="Cubes a step",
            min=1,
            max=64,
            tooltip="more make steps steadier and take more memory and time",
        ),
    ]


def _images() -> list[Widget]:
    return [
        CheckBox(
            name="mirror",
            label=" ",
            text="show mirror images, too",
            tooltip="switch it off if classes differ by their side alone, such as left "
            "and right",
        ),
        ComboBox(
            name="turn",
            label="Turned images",
            choices=TURNS,
            tooltip="scans are shown turned by right angles, too; choose about z if "
            "classes differ by which end is up, none if they differ by their direction "
            "alone, as fibres do",
        ),
        FloatSpinBox(
            name="synthetic",
            label="Made-up images",
            max=1,
            step=0.1,
            tooltip="fraction of the cubes whose image is made up from the labels with "
            "random contrasts, for scans unlike those at hand; with 1, labels need no "
            "scan",
        ),
    ]


def _in_words(sizes: Iterable[int]) -> list[tuple[str, int]]:
    return [(f"{size} voxels wide", size) for size in sizes]
