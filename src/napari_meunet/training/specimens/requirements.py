"""What must hold before a training begins; each failure is one clear error."""

from collections.abc import Sequence

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.checkpoint import Checkpoint
from napari_meunet.training.patches.augmentation import learns_detail
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.specimens.provenance import specimen_name
from napari_meunet.training.specimens.scans import Pair


def require_trainable(
    network: NetworkConfig,
    config: TrainingConfig,
    initial: Checkpoint | None,
    *,
    n_pairs: int,
) -> None:
    """Refuse what cannot become a model, before anything is read.

    Raises
    ------
    MeUNetError
        If there is nothing to train on, `initial` has another network, a stage would
        stay random, or statistics would be frozen that nobody has measured.
    """
    if not n_pairs:
        raise MeUNetError("training needs at least one scan with labels, got none")
    if initial and initial.card.network != network:
        raise MeUNetError(
            f"the initial checkpoint must have the network {network}, got "
            f"{initial.card.network}; use the same classes and fusion"
        )
    random_stage2 = config.fusion != "none" and not config.stage2_steps
    untrained = random_stage2 or not config.stage1_steps
    if not initial and untrained and not config.joint_steps:
        raise MeUNetError(
            "without an initial checkpoint every stage must be trained, got "
            f"{config.stage1_steps} steps of stage 1, {config.stage2_steps} of stage 2 "
            f"and {config.joint_steps} of both; pass --joint-steps, or --initial"
        )
    if not initial and config.statistics == "frozen":
        raise MeUNetError(
            "frozen statistics are those of an initial checkpoint, got none; pass "
            "--initial, or --statistics measured"
        )


def require_learnable(
    specimens: Sequence[tuple[str, Specimen]],
    held_out: Sequence[Specimen],
    config: TrainingConfig,
) -> None:
    """Refuse labels that the config can do nothing with.

    Parameters
    ----------
    specimens
        To train on, with their names.
    held_out
        To validate on.
    config
        What is asked for.

    Raises
    ------
    MeUNetError
        If images are to be made up from labels of a part of a scan, or training is to
        end by the Dice of classes that no validation scan holds.
    """
    sparse = [name for name, specimen in specimens if specimen.is_sparse]
    if sparse and config.synthetic:
        raise MeUNetError(
            "images are made up from whole label maps, got voxels without a label in "
            f"{', '.join(sparse)}; label them wholly, or leave out --synthetic"
        )
    some_class = any(specimen.voxels.keys() - {0} for specimen in held_out)
    if config.patience and held_out and not some_class:
        raise MeUNetError(
            "to end early, a validation scan must hold one of the classes, got none; "
            "validate on others, or leave out --patience"
        )


def require_alike(
    specimens: Sequence[tuple[str, Specimen]], config: TrainingConfig
) -> None:
    """Refuse labels that are finer than their scans if not all can be learned from.

    Raises
    ------
    MeUNetError
        If some are finer than others, or the config cannot learn from finer ones.
    """
    details = {name: specimen.detail for name, specimen in specimens}
    allowed = set(details.values()) if learns_detail(config) else {1}
    if len(allowed) > 1 or not set(details.values()) <= allowed:
        found = ", ".join(f"{name} with {n}" for name, n in details.items())
        raise MeUNetError(
            "scans must have one label in each voxel, or all alike several along each "
            f"axis with balanced patches and full augmentation, got {found}; export "
            "the labels at the resolution of the scan"
        )


def require_images(
    pairs: Sequence[Pair],
    config: TrainingConfig,
    card: Card,
    initial: Checkpoint | None,
) -> None:
    """Refuse images that the network could not be shown as it will be used.

    Raises
    ------
    MeUNetError
        If a scan lacks that is needed, or config, card and `initial` scale intensities
        in different ways.
    """
    lonely = [specimen_name(pair) for pair in pairs if pair[0] is None]
    if lonely and config.synthetic < 1:
        raise MeUNetError(
            "labels without a scan go with images that are all made up, got no scan of "
            f"{', '.join(lonely)} and {config.synthetic:g} of the images made up; add "
            "the scans, or pass --synthetic 1 (in napari, under more options, choose 1 "
            "for Made-up images)"
        )
    if config.normalise == (card.intensity is None):
        raise MeUNetError(
            f"normalise must be what the card says, got {config.normalise} and "
            f"{card.intensity}; make the card for this config"
        )
    if initial and initial.card.intensity != card.intensity:
        raise MeUNetError(
            "a model must be trained on with intensities as before, got "
            f"{initial.card.intensity or 'raw grey values'} in the initial checkpoint "
            f"and {card.intensity or 'raw grey values'} now; pass --normalise or "
            "--no-normalise"
        )
