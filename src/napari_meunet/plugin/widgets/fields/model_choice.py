"""Which checkpoint segments, and what it says about itself."""

from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QSizePolicy,
    QWidget,
)

from napari_meunet.network.card import (
    AUTHORS_SUFFIXES,
    BUNDLED,
    Card,
    checkpoint_path,
    read_card,
)
from napari_meunet.plugin.jobs import Question
from napari_meunet.plugin.torch_import import import_torch
from napari_meunet.plugin.widgets.fields.path_field import browse_button
from napari_meunet.plugin.widgets.note import Note


class _NewModels(QObject):
    """Tells every choice of models, in whatever dock, of those that were made.

    Attributes
    ----------
    paths
        Of all that were made since the program began.
    """

    made = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def add(self, path: Path) -> None:
        """Offer a model that was made, now and in docks that are opened later."""
        self.paths.append(str(path))
        self.made.emit(str(path))


new_models = _NewModels()


class ModelChoice(QWidget):
    """Chooses the bundled checkpoint or a file; `note` shows its card.

    Models that are made meanwhile are offered, too.
    """

    changed = Signal()
    """The model or what is known of it changed."""

    def __init__(self) -> None:
        super().__init__()
        self.card: Card | None = None
        self._models = QComboBox(toolTip="the network that labels the voxels")
        self._models.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        browse = browse_button(
            "File…", "a .safetensors model, or the authors' .pt file", self._browse
        )
        self.note = Note(muted=True)
        self._read = Question(self)
        self._read.answered.connect(self._show)
        self._read.failed.connect(self._show_problem)
        self._models.currentIndexChanged.connect(self._ask)
        for path in new_models.paths:
            self._offer(path)
        new_models.made.connect(self._offer)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._models, 1)
        layout.addWidget(browse)
        self.model = BUNDLED

    @property
    def model(self) -> str:
        """Name of the bundled model, or path of a file."""
        return str(self._models.currentData())

    @model.setter
    def model(self, model: str | Path) -> None:
        model = str(model)
        if model == self.model:
            self._ask()  # it may have been written anew
        self._offer(model)
        self._models.setCurrentIndex(self._models.findData(model))

    def _offer(self, model: str) -> None:
        """List a model; the one that is chosen stays."""
        if self._models.findData(model) < 0:
            self._models.addItem(Path(model).name, model)

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Choose a model", "", "Models (*.safetensors *.pt *.pth)"
        )
        if chosen:
            self.model = chosen

    def _ask(self) -> None:
        self.card = None
        self.note.say("Reading the card…")
        self._read.ask(_card_of, self.model)
        self.changed.emit()

    def _show(self, card: Card) -> None:
        self.card = card
        self.note.say(
            f"{card.name} {card.version}, licence {card.licence}. Training data: "
            f"{card.data}"
        )
        self.changed.emit()

    def _show_problem(self, error: Exception) -> None:
        self.note.warn(str(error))
        self.changed.emit()


def _card_of(model: str) -> Card:
    if Path(model).suffix in AUTHORS_SUFFIXES:  # no card: it is read off the weights
        import_torch()
        from napari_meunet.network.checkpoint import load_checkpoint

        return load_checkpoint(model).card
    return read_card(checkpoint_path(model))
