"""The options of `meunet train`."""

from argparse import BooleanOptionalAction
from pathlib import Path

from napari_meunet.cli.parser import Parser, add_device
from napari_meunet.config import TrainingConfig

DEFAULTS = TrainingConfig()

LEARNING = {
    "stage1_steps": (
        "N",
        "training steps of stage 1, which finds things; more take longer and learn "
        "more; 0 leaves the stage as it is in --initial",
    ),
    "stage2_steps": (
        "N",
        "training steps of stage 2, which adds detail, likewise",
    ),
    "joint_steps": ("N", "training steps of both stages together, after that"),
    "learning_rate": (
        "RATE",
        "how far a step goes at first. Lower it if the loss jumps or is no number",
    ),
    "averaging": (
        "DECAY",
        "the model is the average of the last weights, reaching back over about "
        "1 / (1 - DECAY) steps; 0 takes the very last",
    ),
    "fixed_statistics": (
        "FRACTION",
        "last part of the steps of each stage, 0 to 1, in which grey values are "
        "normalised as they are when the model is used, and not cube by cube",
    ),
    "validation_steps": ("N", "steps between two measurements on --validation"),
    "seed": ("N", "another number makes other random choices"),
}

SAMPLING = {
    "patch_size": (
        "VOXELS",
        "edge of the cubes that the network is shown, in voxels, a multiple of 16; "
        "larger ones show more of the surroundings and take more memory and time",
    ),
    "expanded_size": (
        "VOXELS",
        "edge of the larger cube around each, from which stage 1 learns the "
        "surroundings, in voxels, a multiple of 32; as large as --patch-size switches "
        "it off",
    ),
    "batch_size": (
        "N",
        "cubes in a step; more make steps steadier and take more memory and time",
    ),
    "foreground": (
        "FRACTION",
        "fraction of the cubes, 0 to 1, that are centred on a labelled voxel; the "
        "others lie anywhere",
    ),
    "deform": (
        "FRACTION",
        "fraction of the cubes, 0 to 1, that are turned, zoomed and bent by any amount",
    ),
    "synthetic": (
        "FRACTION",
        "fraction of the cubes, 0 to 1, whose image is made up from the labels, with "
        "random contrasts and artefacts: for scans unlike those at hand",
    ),
}

COMPUTING = {
    "n_devices": ("N", "graphics cards of each computer that train together"),
    "n_nodes": ("N", "computers that train together"),
}


def add_options(parser: Parser) -> None:
    """Add all of them."""
    _add_data(parser)
    for name, (metavar, text) in {**LEARNING, **SAMPLING, **COMPUTING}.items():
        default = getattr(DEFAULTS, name)
        parser.add_argument(
            f"--{name.removeprefix('n_').replace('_', '-')}",
            dest=name,
            type=type(default),
            default=default,
            metavar=metavar,
            help=f"{text} (default %(default)s)",
        )
    _add_choices(parser)
    add_device(parser)
    _add_output(parser)


def _add_data(parser: Parser) -> None:
    """Add what to learn from."""
    parser.add_argument(
        "data", type=Path, nargs="+", metavar="DIR", help="folders of labelled scans"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        required=True,
        metavar="NAME",
        help="names of the labels 1, 2, …",
    )
    parser.add_argument(
        "--painted-planes",
        action="store_true",
        help="learn only from the z planes that hold labels, and take those as "
        "complete: a few painted planes are enough. Voxels with the value 255 are "
        "always left out",
    )
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="DIR",
        help="folder of labelled scans, none of them trained on, to measure Dice on",
    )
    parser.add_argument(
        "--initial",
        metavar="MODEL",
        help="begin from this model, of the same classes, not from nothing",
    )


def _add_choices(parser: Parser) -> None:
    """Add how to learn."""
    parser.add_argument(
        "--fusion",
        choices=("post", "pre", "none"),
        default=DEFAULTS.fusion,
        help="where stage 2 meets stage 1: post joins their last features, pre gives "
        "stage 2 what stage 1 found, none is stage 1 alone and goes with "
        "--stage2-steps 0 (default %(default)s)",
    )
    parser.add_argument(
        "--schedule",
        choices=("cosine", "polynomial", "constant"),
        default=DEFAULTS.schedule,
        help="how the learning rate falls to zero, if it does (default %(default)s)",
    )
    parser.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="end a stage after N measurements on --validation without gain, and keep "
        "its best weights; if not given, all steps are taken",
    )
    parser.add_argument(
        "--mirror",
        action=BooleanOptionalAction,
        default=DEFAULTS.mirror,
        help="show the scans mirrored, too; --no-mirror for classes that differ by "
        "their side alone, such as left and right (default %(default)s)",
    )


def _add_output(parser: Parser) -> None:
    """Add where the model goes, and what it says of itself."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the model, a .safetensors file; written when training ends. Loss and "
        "Dice go to a .csv file beside it",
    )
    parser.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="write the figures for TensorBoard, too (pip install tensorboard)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.add_argument(
        "--description", metavar="TEXT", default="", help="what the data are"
    )
    parser.add_argument(
        "--licence",
        metavar="NAME",
        default="unknown",
        help="of the model, such as CC0-1.0 (default %(default)s)",
    )
