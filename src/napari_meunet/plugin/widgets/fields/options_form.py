"""How to segment: the part of the config that depends on the machine and the person."""

from magicgui.widgets import CheckBox, Container, FloatSpinBox
from qtpy.QtWidgets import QFormLayout

from napari_meunet.config import SegmentationConfig
from napari_meunet.plugin.widgets.fields.device_field import device_field, show_device

GB = 1e9


class OptionsForm:
    """Edits a `SegmentationConfig`; what it does not show stays as it was set.

    Attributes
    ----------
    changed
        Emitted when a person or a program changes a field.
    """

    def __init__(self) -> None:
        self._config = SegmentationConfig()
        self.device = device_field()
        self.memory = FloatSpinBox(
            label="Memory",
            max=4096,
            step=0.5,
            tooltip="what the run may take of the memory where it computes; automatic "
            "is half of what is free, on a graphics card 80 %",
        )
        self.memory.native.setDecimals(1)
        self.memory.native.setSuffix(" GB")
        self.memory.native.setSpecialValueText("automatic")
        self.reduce = CheckBox(
            text="at the resolution of the model",
            value=True,
            tooltip="a scan that is finer than those the model was trained on is shown "
            "to it at their resolution, and the labels are enlarged. Without the tick "
            "every voxel is shown: finer labels, but only from a model that knows such "
            "small voxels",
        )
        self.average = CheckBox(
            text="average over flipped scans",
            tooltip="ask the model of the scan and of the same flipped, in all ways "
            "that it learned to label alike, and take the mean: up to 8 times the work "
            "and memory",
        )
        self.skip_air = CheckBox(
            text="leave out the air",
            tooltip="compute only a box around what is brighter than air; all beyond "
            "it becomes background. The plan below says which box: an approximation, "
            "for scans in which air lies around the specimen",
        )
        self.overwrite = CheckBox(
            text="write over my corrections",
            tooltip="by default the model never touches what you painted",
        )
        ticks = [self.reduce, self.average, self.skip_air, self.overwrite]
        self._fields = Container(widgets=[self.device, self.memory, *ticks])
        self.changed = self._fields.changed

    def add_rows(self, form: QFormLayout) -> None:
        """Put the fields into a form, in line with the others there."""
        for field in self._fields:
            form.addRow(field.label, field.native)

    @property
    def value(self) -> SegmentationConfig:
        """The config as shown."""
        memory, exact = self.memory.value, self._config.preset == "exact"
        return SegmentationConfig.checked(
            **self._config.model_dump()
            | {
                "device": self.device.value,
                "memory": round(memory * GB) if memory else None,
                "resolution": "model" if self.reduce.value else "scan",
                "average": self.average.value and exact,
                "skip_air": self.skip_air.value and exact,
                "overwrite_corrected": self.overwrite.value,
            }
        )

    @value.setter
    def value(self, config: SegmentationConfig) -> None:
        self._config = config
        show_device(self.device, config.device)
        self.memory.value = (config.memory or 0) / GB
        self.reduce.value = config.resolution == "model"
        self.average.value = config.average
        self.skip_air.value = config.skip_air
        self.overwrite.value = config.overwrite_corrected
