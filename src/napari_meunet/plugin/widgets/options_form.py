"""How to segment: the part of the config that depends on the machine and the person."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QWidget

from napari_meunet.config import SegmentationConfig

GB = 1e9

_DEVICES = {
    "automatic": "auto",
    "processor": "cpu",
    "CUDA graphics card": "cuda",
    "Apple graphics (MPS)": "mps",
}


class OptionsForm(QWidget):
    """Edits a `SegmentationConfig`; what it does not show stays as it was set."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._config = SegmentationConfig()
        self.device = QComboBox(toolTip="where the network computes")
        for words, name in _DEVICES.items():
            self.device.addItem(words, name)
        self.memory = QDoubleSpinBox(
            maximum=4096, decimals=1, singleStep=0.5, specialValueText="automatic"
        )
        self.memory.setSuffix(" GB")
        self.memory.setToolTip(
            "what the run may take of the memory where it computes; automatic is half "
            "of what is free"
        )
        self.overwrite = QCheckBox("write over my corrections")
        self.overwrite.setToolTip("by default the model never touches what you painted")
        self.device.currentIndexChanged.connect(self.changed)
        self.memory.valueChanged.connect(self.changed)
        self.overwrite.toggled.connect(self.changed)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Device", self.device)
        form.addRow("Memory", self.memory)
        form.addRow("", self.overwrite)

    @property
    def value(self) -> SegmentationConfig:
        """The config as shown."""
        memory = self.memory.value()
        return SegmentationConfig.checked(
            **self._config.model_dump()
            | {
                "device": self.device.currentData(),
                "memory": round(memory * GB) if memory else None,
                "overwrite_corrected": self.overwrite.isChecked(),
            }
        )

    @value.setter
    def value(self, config: SegmentationConfig) -> None:
        self._config = config
        if self.device.findData(config.device) < 0:  # such as "cuda:1"
            self.device.addItem(config.device, config.device)
        self.device.setCurrentIndex(self.device.findData(config.device))
        self.memory.setValue((config.memory or 0) / GB)
        self.overwrite.setChecked(config.overwrite_corrected)
