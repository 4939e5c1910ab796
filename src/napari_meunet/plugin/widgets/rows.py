"""Rows of a form that come and go."""

from qtpy.QtWidgets import QFormLayout, QWidget


def show_row(form: QFormLayout, field: QWidget, visible: bool) -> None:
    """Show or hide a field with its label; `setRowVisible` is not in Qt 5."""
    label = form.labelForField(field)
    if label is not None:  # Qt makes none of an empty word
        label.setVisible(visible)
    field.setVisible(visible)
