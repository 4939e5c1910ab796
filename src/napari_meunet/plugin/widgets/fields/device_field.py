"""Where a network computes, as a field."""

from magicgui.widgets import ComboBox

_DEVICES = [
    ("automatic", "auto"),
    ("processor", "cpu"),
    ("CUDA graphics card", "cuda"),
    ("Apple graphics (MPS)", "mps"),
]


def device_field() -> ComboBox:
    """Return a field to choose a device with."""
    return ComboBox(
        name="device",
        label="Device",
        choices=_DEVICES,
        tooltip="where the network computes",
    )


def show_device(field: ComboBox, device: str) -> None:
    """Choose a device, be it one that the field does not list, such as ``cuda:1``."""
    if device not in field.choices:
        field.choices = [*_DEVICES, (device, device)]
    field.value = device
