"""Checkpoints: weights and a card in one safetensors file."""

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from napari_meunet.atomic import replacing, writing
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import (
    AUTHORS_SUFFIXES,
    BUNDLED,
    Card,
    NetworkConfig,
    checkpoint_path,
    read_card,
)
from napari_meunet.network.cascade import REFINEMENT_FEATURES, Cascade
from napari_meunet.network.classes import unnamed_classes

_DAMAGED = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""What unpickling raises on a file that is damaged, or no checkpoint at all."""


@dataclass(frozen=True)
class Checkpoint:
    """Trained weights and the card that describes them.

    Attributes
    ----------
    weights
        State dict of `Cascade`, float32.
    card
        Architecture, classes and provenance.
    source
        What `load_checkpoint` finds it by; empty if it was not loaded.
    """

    weights: Mapping[str, Tensor]
    card: Card
    source: str = ""

    def build(self) -> Cascade:
        """Return the network with the weights in it, in evaluation mode.

        Raises
        ------
        MeUNetError
            If the weights do not fit the architecture on the card.
        """
        network = Cascade(**self.card.network.model_dump())
        try:
            network.load_state_dict(dict(self.weights), strict=True)
        except RuntimeError as error:
            raise MeUNetError(
                f"the weights must fit the network on the card of "
                f"{self.card.name!r}, got: {' '.join(str(error).split())}; use the "
                "file as it was saved"
            ) from error
        return network.eval()

    def halfway_to(self, other: "Checkpoint") -> "Checkpoint":
        """Return a model whose weights are the means of two, with the card of `other`.

        What was learned from a few places at times does harm elsewhere, and the mean
        with the model before takes most of that back (Wortsman et al., Robust
        fine-tuning of zero-shot models, CVPR 2022). Both must have the same
        architecture, and their features the same statistics.
        """
        weights = {
            name: torch.lerp(self.weights[name], weight, 0.5)
            if weight.is_floating_point()
            else weight
            for name, weight in other.weights.items()
        }
        data = f"{other.card.data}; the mean of the weights before and after"
        return Checkpoint(weights, other.card.model_copy(update={"data": data}))

    def digest(self) -> str:
        """Return a SHA-256 of architecture, names and values: what runs are tied to."""
        digest = hashlib.sha256(self.card.network.model_dump_json().encode())
        for name, tensor in sorted(self.weights.items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint`; convolution weights as fp16, the rest as it is.

    BatchNorm statistics stay float32: variances leave the range of fp16.

    Raises
    ------
    MeUNetError
        If `path` cannot be written; what lay there stays.
    """
    weights = {
        name: (tensor.half() if tensor.ndim > 1 else tensor).contiguous()
        for name, tensor in checkpoint.weights.items()
    }
    card = checkpoint.card.model_dump_json()
    content = save(weights, metadata={"card": card})
    with writing(path), replacing(path) as temporary:
        temporary.write_bytes(content)


def load_checkpoint(model: str | Path) -> Checkpoint:
    """Read a checkpoint by the name of a bundled one, or from a file.

    Parameters
    ----------
    model
        ``"fly-phantom"``, a ``.safetensors`` file of ours, or a ``.pt`` file of the
        authors: their training dict or a bare state dict of stage 1.

    Raises
    ------
    MeUNetError
        If there is no such model or the file is not a checkpoint.
    """
    path = checkpoint_path(model)
    source = BUNDLED if str(model) == BUNDLED else str(path.absolute())
    if path.suffix in AUTHORS_SUFFIXES:
        return replace(_load_authors_checkpoint(path), source=source)
    card = read_card(path)
    try:
        weights = load(path.read_bytes())  # mapped, it could not be replaced on Windows
    except SafetensorError as error:
        raise MeUNetError(
            f"the weights of {path.name} must be complete, got: {error}; copy the "
            "file again"
        ) from error
    widened = {name: _widened(weights[name]) for name in weights}
    return Checkpoint(widened, card, source)


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _load_authors_checkpoint(path: Path) -> Checkpoint:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise MeUNetError(
            "a .pt file must be a state dict that loads with weights_only=True, got "
            f"{path.name}; save the state dict alone, or copy the file again"
        ) from error
    weights = _state_dict(content, path)
    network = _network_of(weights, path)
    card = Card(
        name=path.stem,
        version="unknown",
        network=network,
        classes=unnamed_classes(network.n_classes),
        intensity=None,
        data="unknown; a stage-1 checkpoint in the authors' format",
        licence="unknown",
    )
    return Checkpoint(
        {f"stage1.{name}": _widened(tensor) for name, tensor in weights.items()}, card
    )


def _state_dict(content: object, path: Path) -> Mapping[str, Tensor]:
    """Return the state dict, which may lie in the authors' training dict."""
    if isinstance(content, Mapping):
        content = content.get("model_state_dict", content)
    if isinstance(content, Mapping) and all(
        isinstance(value, Tensor) for value in content.values()
    ):
        return content
    raise MeUNetError(
        "a .pt file must hold the stage-1 weights enc1 ... conv_out, got "
        f"{path.name} with something else; save the state dict alone"
    )


def _network_of(weights: Mapping[str, Tensor], path: Path) -> NetworkConfig:
    """Return the architecture that the shapes of stage-1 weights say."""
    try:
        features = [len(weights[f"enc{level}.0.0.weight"]) for level in range(1, 6)]
        n_classes = len(weights["conv_out.bias"])
    except (KeyError, TypeError) as error:
        raise MeUNetError(
            "a .pt file must hold the stage-1 weights enc1 ... conv_out, got "
            f"{path.name} without {error}; convert other networks first"
        ) from error
    return NetworkConfig.checked(
        n_classes=n_classes,
        features=features,
        refinement_features=REFINEMENT_FEATURES,
        fusion="none",
    )
