"""The options of `meunet train`, and what they ask for."""

from argparse import SUPPRESS, ArgumentTypeError, BooleanOptionalAction, Namespace
from math import inf
from pathlib import Path

from napari_meunet.cli.console.parser import Parser, add_device, natural
from napari_meunet.cli.console.terminal import byte_size
from napari_meunet.config import PRESETS, TrainingConfig

DEFAULTS = TrainingConfig()

LEARNING = {
    "stage1_steps": (
        "N",
        "training steps of stage 1 alone, which finds things; more take longer and "
        "learn more",
    ),
    "stage2_steps": (
        "N",
        "training steps of stage 2, after that, on a stage 1 that stays as it is",
    ),
    "joint_steps": (
        "N",
        "training steps of both stages together, at last: stage 2 adds detail. What "
        "has no steps stays as it is in --initial",
    ),
    "learning_rate": (
        "RATE",
        "how far a step goes at first. Lower it if the loss jumps or is no number",
    ),
    "averaging": (
        "DECAY",
        "the model is the average of the last weights, reaching back over about "
        "1 / (1 - DECAY) steps; 0 takes the very last",
    ),
    "validation_steps": ("N", "steps between two measurements on validation scans"),
    "seed": ("N", "another number makes other random choices"),
}

SAMPLING = {
    "patch_size": (
        "VOXELS",
        "edge of the cubes that the network is shown, in voxels, a multiple of 16; "
        "larger ones show more of the surroundings and take more memory and time; "
        "with less than 64 voxels, whole scans may be labelled far worse than cubes",
    ),
    "expanded_size": (
        "VOXELS",
        "edge of the larger cube around each, from which stage 1 learns the "
        "surroundings while it learns alone, in voxels, a multiple of 16; with the "
        "size of --patch-size there is none. If not given, half as long again as that",
    ),
    "batch_size": (
        "N",
        "cubes in a step; more make steps steadier and take more memory and time",
    ),
    "foreground": (
        "FRACTION",
        "fraction of balanced cubes, 0 to 1, that are centred on a labelled voxel; the "
        "others lie anywhere",
    ),
    "deform": (
        "FRACTION",
        "fraction of the cubes, 0 to 1, that are turned, zoomed and bent by any amount",
    ),
    "synthetic": (
        "FRACTION",
        "fraction of the cubes, 0 to 1, whose image is made up from the labels, with "
        "random contrasts and artefacts: for scans unlike those at hand. With 1, "
        "labels need no scan",
    ),
}

COMPUTING = {
    "n_devices": ("N", "graphics cards of each computer that train together"),
    "n_nodes": ("N", "computers that train together"),
}


def add_options(parser: Parser) -> None:
    """Add all of them.

    Those of the config have no default here, so that what was given can be told from
    what was not, and counts more than the preset.
    """
    _add_data(parser)
    _add_held_out(parser)
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="default",
        help="values of all options below that are not given: paper is the recipe "
        "published with the network, for stage 1 alone and a large graphics card "
        "(default %(default)s)",
    )
    for name, (metavar, text) in {**LEARNING, **SAMPLING, **COMPUTING}.items():
        parser.add_argument(
            f"--{name.removeprefix('n_').replace('_', '-')}",
            dest=name,
            type=type(getattr(DEFAULTS, name)),
            default=SUPPRESS,
            metavar=metavar,
            help=_with_default(name, text),
        )
    _add_choices(parser)
    _add_switches(parser)
    add_device(parser)
    parser.add_argument(
        "--memory",
        type=byte_size,
        metavar="SIZE",
        help="memory to take on the device that computes, such as 6GB; what does not "
        "fit is computed twice, with the same result. If not given, 80%% of what is "
        "free on a graphics card, else half",
    )
    _add_output(parser)


def training_config(options: Namespace) -> TrainingConfig:
    """Return the preset with the options that were given.

    Raises
    ------
    MeUNetError
        If a value is invalid.
    """
    names = TrainingConfig.model_fields
    given = {name: value for name, value in vars(options).items() if name in names}
    return TrainingConfig.checked(**{**PRESETS[options.preset], **given})


def n_held_out(options: Namespace, n_specimens: int) -> int:
    """Return how many specimens are to be held out: at least one of a fraction."""
    fraction: float | None = options.validation_fraction
    held_out: int = options.hold_out
    return max(1, round(fraction * n_specimens)) if fraction else held_out


def _with_default(name: str, text: str) -> str:
    """Return the help of an option of the config, with its value in the presets."""
    default = getattr(DEFAULTS, name)
    published = PRESETS["paper"].get(name, default)
    other = "" if published == default else f", paper {_shown(published)}"
    return f"{text} (default {_shown(default)}{other})"


def _shown(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _fraction(text: str) -> float:
    """Return a number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise ArgumentTypeError(f"must be between 0 and 1, got {text!r}")
    return value


def _positive(text: str) -> float:
    """Return a positive number."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < inf:
        raise ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


def _add_data(parser: Parser) -> None:
    """Add what to learn from."""
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folders of labels (NAME_labels.tif) with their scans (NAME.tif)",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        required=True,
        metavar="NAME",
        help="names of the labels 1, 2, …; or NAME=VALUE for labels of other values, "
        "such as cranium=1 mandible=21, which the model will write, too",
    )
    parser.add_argument(
        "--painted-planes",
        action="store_true",
        help="learn only from the z planes that hold labels, and take those as "
        "complete: a few painted planes are enough. Voxels with the value 255 are "
        "always left out; one of them lets a plane with nothing in it count as painted",
    )
    parser.add_argument(
        "--voxel-size",
        type=_positive,
        metavar="UM",
        help="learn from scans as if their voxels were about so many micrometres wide, "
        "with several voxels as one: for things that are hundreds of voxels large, and "
        "for scans of several sizes. The model shows itself other scans alike. If not "
        "given, every voxel is learned from, or what --initial knows",
    )
    parser.add_argument(
        "--initial",
        metavar="MODEL",
        help="begin from this model, of the same classes, not from nothing; its stages "
        "and its grey values are kept",
    )


def _add_held_out(parser: Parser) -> None:
    """Add what not to learn from."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--validation",
        type=Path,
        metavar="DIR",
        help="folder of scans of other specimens to measure Dice on, labelled on all "
        "planes (255 where not); the training folders may hold none of them",
    )
    group.add_argument(
        "--hold-out",
        type=natural,
        metavar="N",
        default=0,
        help="measure Dice on N specimens of the training folders instead, and do not "
        "learn from them; --seed chooses which (default %(default)s)",
    )
    group.add_argument(
        "--validation-fraction",
        type=_fraction,
        metavar="F",
        help="hold out this fraction of the specimens, at least one",
    )


CHOICES = {
    "fusion": (
        ("post", "pre", "none"),
        "where stage 2 meets stage 1: post joins their last features, pre gives "
        "stage 2 what stage 1 found, none is stage 1 alone, with the steps of "
        "both if not told otherwise",
    ),
    "schedule": (
        ("cosine", "polynomial", "constant"),
        "how the learning rate falls to zero, if it does",
    ),
    "sampling": (
        ("balanced", "windows"),
        "which cubes are shown: balanced draws them at random, the classes in turn; "
        "windows shows all cubes of a regular grid that hold more than 2%% of labelled "
        "voxels, and one in 20 of the others",
    ),
    "cross_entropy": (
        ("plain", "weighted"),
        "weighted counts voxels of rare classes more",
    ),
    "turn": (
        ("any", "about_z", "none"),
        "about which axes scans are turned by right angles, too; about_z if classes "
        "differ by which end is up (with --no-mirror), none if they differ by their "
        "direction alone, as fibres do",
    ),
    "statistics": (
        ("measured", "running", "frozen"),
        "what features are normalised by: measured takes their statistics anew at the "
        "end of a stage; running takes averages of them while it learns; frozen takes "
        "those of --initial, which it needs, from the first step on",
    ),
    "augmentation": (
        ("full", "none", "affine"),
        "full turns and mirrors all cubes, bends the fraction --deform of them and "
        "changes the grey values of some; none changes nothing; affine turns and zooms "
        "the fraction --deform, and does no more",
    ),
}


def _add_choices(parser: Parser) -> None:
    """Add how to learn, where there are a few ways."""
    for name, (choices, text) in CHOICES.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            choices=choices,
            default=SUPPRESS,
            help=_with_default(name, text),
        )
    parser.add_argument(
        "--patience",
        type=int,
        metavar="N",
        default=SUPPRESS,
        help="end a stage after N measurements on validation scans without gain, and "
        "keep its best weights; if not given, all steps are taken (paper "
        f"{PRESETS['paper']['patience']})",
    )


SWITCHES = {
    "dice": "learn from the Dice of a batch, too, and not from the cross-entropy alone",
    "mirror": "show the scans mirrored, too; --no-mirror for classes that differ by "
    "their side alone, such as left and right",
    "normalise": "scale grey values by the percentiles of each scan; --no-normalise "
    "takes them as they are, from scans of 8 bits that are all alike",
}


def _add_switches(parser: Parser) -> None:
    """Add how to learn, where it is yes or no."""
    for name, text in SWITCHES.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            action=BooleanOptionalAction,
            default=SUPPRESS,
            help=_with_default(name, text),
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
        "Dice go to a .training.csv file beside it",
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
