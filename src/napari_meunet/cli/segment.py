"""`meunet segment`: label a scan with the cascade."""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

from napari_meunet.cli.console.memory import peak_memory
from napari_meunet.cli.console.parser import (
    Parser,
    Subparsers,
    add_average,
    add_device,
    add_resolution,
    add_volume,
    opened,
)
from napari_meunet.cli.console.terminal import add_json, byte_size, remark, show
from napari_meunet.config import SegmentationConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.folder import is_labels_folder, labels_folder, scan_name
from napari_meunet.network.card import BUNDLED
from napari_meunet.volume.volume import Volume
from napari_meunet.words import size_in_words


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    folder: str
    voxels: int
    seconds: float
    peak_memory: int


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "segment",
        help="label a scan with the cascade",
        description="Label a scan; the labels go to a folder beside it. An interrupted "
        "run goes on where it stopped, a complete one is not repeated, and corrected "
        "voxels are kept.",
    )
    add_volume(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="labels folder, *.meunet; if not given, it lies beside the scan",
    )
    parser.add_argument(
        "--model",
        default=BUNDLED,
        help="a .safetensors or .pt file, or the bundled model (default %(default)s)",
    )
    _add_engine(parser)
    parser.add_argument(
        "--restart",
        action="store_true",
        help="begin again at the first plane, even if the labels are complete",
    )
    parser.add_argument(
        "--overwrite-corrected",
        action="store_true",
        help="let the model write over voxels that a person has corrected",
    )
    add_json(parser)
    hint = "; run the same command, without --restart, to go on"
    parser.set_defaults(run=run, to_go_on=lambda _: hint)


def _add_engine(parser: Parser) -> None:
    """Add how to compute, and with what."""
    parser.add_argument(
        "--preset",
        choices=("exact", "paper"),
        default="exact",
        help="exact: every voxel once, without seams; paper: the overlapping windows "
        "and votes of the authors' notebook, slower (default %(default)s)",
    )
    add_device(parser)
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        default="auto",
        help="numbers to compute with; auto is fp16 on CUDA, bf16 on processors that "
        "compute it, else fp32 (default %(default)s)",
    )
    parser.add_argument(
        "--memory",
        type=byte_size,
        metavar="SIZE",
        help="memory to take on the device that computes, such as 4GB or 500MB; if "
        "not given, 80%% of what is free on a graphics card, else half",
    )
    add_resolution(parser)
    add_average(parser)
    parser.add_argument(
        "--skip-air",
        action="store_true",
        help="compute a box around what is brighter than air, and call all beyond it "
        "background: faster where the specimen fills a part of the scan, and no longer "
        "exact at the sides of the box",
    )


def run(options: argparse.Namespace) -> None:
    """Segment, then say where the labels are and what it took."""
    config = SegmentationConfig.checked(
        preset=options.preset,
        device=options.device,
        precision=options.precision,
        memory=options.memory,
        resolution=options.resolution,
        skip_air=options.skip_air,
        average=options.average,
        overwrite_corrected=options.overwrite_corrected,
    )
    folder = options.output or labels_folder(options.image)
    _require_folder(folder)
    summary = segment_scan(
        opened(options), options.model, config, folder, restart=options.restart
    )
    if options.json:
        print(json.dumps(summary.__dict__))
        return
    print(f"labels       {summary.folder}")
    print(f"voxels       {summary.voxels:,}")
    print(f"seconds      {summary.seconds:.1f}")
    print(f"peak memory  {size_in_words(summary.peak_memory)}")


def _require_folder(folder: Path) -> None:
    if scan_name(folder) != folder.name and not is_labels_folder(folder):
        raise MeUNetError(
            "labels go to a folder, in which they can be corrected, got the name of a "
            f"file, {folder.name}; pass -o {labels_folder(folder).name}, then make the "
            "file with 'meunet export'"
        )


def segment_scan(
    volume: Volume,
    model: str,
    config: SegmentationConfig,
    folder: Path,
    *,
    restart: bool = False,
) -> Summary:
    """Segment `volume` into `folder` while showing progress.

    What a run finished is not done again, unless it is to `restart`.
    """
    from napari_meunet.inference.machine import inspect_machine
    from napari_meunet.inference.resolution import reduction_in_words, resolution_remark
    from napari_meunet.inference.segment import plan_for, replaced_in_words, segment
    from napari_meunet.labels.store import LabelStore, with_known_spacing
    from napari_meunet.network.checkpoint import load_checkpoint

    start = time.monotonic()
    checkpoint = load_checkpoint(model)
    volume = with_known_spacing(volume, folder)
    # What cannot run is refused before there is a folder.
    plan = plan_for(volume, checkpoint.card, config, inspect_machine(config))
    reduction = reduction_in_words(plan.grid)
    remark(reduction and f"{reduction}; --resolution scan shows it every voxel")
    zyx = volume.spacing.zyx if volume.spacing else None
    remark(resolution_remark(zyx, checkpoint.card, config))
    with LabelStore.open_or_create(folder, volume, checkpoint.card.classes) as labels:
        remark(replaced_in_words(labels, checkpoint, config))
        if restart:
            labels.forget_run()
        last = show(segment(volume, checkpoint, config, labels), "segment")
    if last and last.message:  # the plan: no step came after it
        remark("the labels are complete, nothing to do; --restart segments again")
    if volume.spacing is None and checkpoint.card.spacing is None:
        remark(
            "the scan does not say how large a voxel is, nor do its labels; pass "
            "--spacing Z Y X in micrometres"
        )
    z, y, x = volume.shape
    seconds = time.monotonic() - start
    return Summary(str(folder), z * y * x, round(seconds, 3), peak_memory())
