"""Training for the Train dock: what a person asks for, and what worker threads do."""

from collections import deque
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from napari.layers import Image, Labels, Layer
from pydantic import Field

from napari_meunet.atomic import replacing, writing
from napari_meunet.config import (
    Frozen,
    LabelClass,
    SegmentationConfig,
    TrainingConfig,
)
from napari_meunet.errors import MeUNetError
from napari_meunet.plugin.layers import (
    folder_of_labels,
    labels_layer,
    labels_of,
    store_of,
    volume_of,
)
from napari_meunet.plugin.torch_import import import_torch
from napari_meunet.progress import Steps
from napari_meunet.training.log import is_remark, logged_to_csv, read_log
from napari_meunet.training.output import log_path, require_writable, state_path

if TYPE_CHECKING:
    from napari_meunet.training.loop.preview import Look
    from napari_meunet.training.specimens.scans import Pair
    from napari_meunet.volume.volume import Volume


class Request(Frozen):
    """What a person asks for; it lies beside an unfinished training, to go on with.

    Attributes
    ----------
    folder
        Of labelled scans; None learns from the layers that are open.
    validation
        Of scans to measure Dice on, labelled on all planes.
    painted_planes
        Whether only the planes that hold labels count.
    voxel_size
        As in `napari_meunet.training.specimens.reduced.Reducer`.
    classes
        The background first.
    initial
        The model to begin from.
    config
        How.
    output
        Where the model goes.
    description, licence
        For its card.
    """

    folder: Path | None
    validation: Path | None
    painted_planes: bool
    voxel_size: Annotated[float, Field(gt=0)] | None = None
    classes: tuple[LabelClass, ...]
    initial: str | None
    config: TrainingConfig
    output: Path
    description: str
    licence: str


@dataclass(frozen=True)
class Task:
    """A request, and the layers that it is about if it names no folder."""

    request: Request
    image: Image | None = None
    labels: Labels | None = None


class Figure(NamedTuple):
    """A loss or Dice; steps are counted over all phases."""

    step: int
    name: str
    value: float


class Course:
    """Counts the steps of all phases as one.

    Parameters
    ----------
    config
        Says how many steps each phase has.
    """

    def __init__(self, config: TrainingConfig) -> None:
        steps = config.stage1_steps, config.stage2_steps, config.joint_steps
        self._lengths = [n for n in steps if n]
        self._starts: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Steps of all phases."""
        return sum(self._lengths)

    def at(self, phase: str, step: int) -> int:
        """Return the number of a step of a phase; phases come in their order."""
        start = sum(self._lengths[: len(self._starts)])
        return self._starts.setdefault(phase, start) + step

    def figures(self, output: Path) -> list[Figure]:
        """Return what has been logged of the training so far."""
        rows = read_log(log_path(output))
        return [Figure(self.at(phase, step), *figure) for phase, step, *figure in rows]


class Watch:
    """What a worker thread leaves for the window to take.

    Attributes
    ----------
    figures
        Those that nobody has taken yet.
    look
        The latest.
    remark
        What a person should know of the scans and of memory; empty if nothing.
    is_trained
        Whether the model is complete, and only its measurement may follow.
    """

    def __init__(self) -> None:
        self.figures: deque[Figure] = deque()
        self.look: Look | None = None
        self.remark = ""
        self.is_trained = False

    def take_look(self, look: "Look") -> None:
        """Keep a look."""
        self.look = look

    def follow(self, steps: Steps, course: Course, done: int = 0) -> Steps:
        """Pass the steps on, counted over all phases, and keep their figures.

        As many steps are `done` before.
        """
        with closing(steps):
            for step in steps:
                if step.unit == "steps" and step.metrics:  # else a message on the way
                    done = course.at(step.message, step.done)
                    self.figures.extend(
                        Figure(done, *figure) for figure in step.metrics.items()
                    )
                if is_remark(step):
                    self.remark = "; ".join(filter(None, (self.remark, step.message)))
                yield replace(step, done=done, total=course.total, unit="steps")


def new_labels(image: Image, classes: tuple[LabelClass, ...]) -> Layer:
    """Return a layer to paint labels on; they go to the labels folder of the scan.

    Labels that lie there already are opened.

    Raises
    ------
    MeUNetError
        If the folder cannot be written, or its labels are of other classes.
    """
    from napari_meunet.labels.store import LabelStore

    volume = volume_of(image)
    folder = folder_of_labels(volume, image.name)
    store = LabelStore.open_or_create(folder, volume, classes)
    return Layer.create(*labels_layer(store))


def mark_as_empty(labels: Labels, z: int | None) -> None:
    """Let a z plane count as painted by a dot of the label that is no label.

    Raises
    ------
    MeUNetError
        If `z` is None or no plane of the labels, they cannot be painted on, or
        something is painted there.
    """
    from napari_meunet.training.label_values import IGNORE

    data = labels.data
    if labels.multiscale or data.ndim != 3 or not labels.editable:
        raise MeUNetError(
            f"planes are marked in labels (z, y, x) that can be painted on, got "
            f"{labels.name!r}; choose the labels layer that you paint"
        )
    if getattr(data, "paintable", None) is not None:
        raise MeUNetError(
            "a plane is marked by a dot, which goes anywhere, got labels that are "
            "painted on only where the scan has some grey values; switch that off in "
            "the Correct dock"
        )
    if z is None or z not in range(data.shape[0]):
        raise MeUNetError(
            "the plane to mark must be seen, got another view; show a z plane of the "
            "labels in 2-D"
        )
    if np.iinfo(data.dtype).max < IGNORE:
        raise MeUNetError(
            f"the labels must hold the value {IGNORE}, got {data.dtype}; convert the "
            "layer to uint8"
        )
    found = np.setdiff1d(np.asarray(data[z]), (0, IGNORE))
    if found.size:
        raise MeUNetError(
            f"a plane with nothing in it must hold no labels, got {found[0]} in plane "
            f"{z}; erase what is wrong, and it counts as painted"
        )
    labels.data_setitem(tuple(np.array([i]) for i in (z, 0, 0)), IGNORE)


def request_path(output: Path) -> Path:
    """Return where the request of an unfinished training lies."""
    return output.with_suffix(".unfinished.json")


def unfinished_request(output: Path) -> Request | None:
    """Return what an unfinished training was asked for.

    None if there is none, or if it was not begun in the dock.
    """
    path = request_path(output)
    if not (state_path(output).exists() and path.exists()):
        return None
    try:
        return Request.from_json(path.read_bytes())
    except MeUNetError:  # of another version: the engine will say what does not fit
        return None


def discard(output: Path) -> None:
    """Remove an unfinished training."""
    for path in (state_path(output), request_path(output), log_path(output)):
        path.unlink(missing_ok=True)


def train_as_asked(task: Task, watch: Watch) -> Steps:
    """Train, then measure the model on the validation scans.

    Closing keeps the state, and the same task goes on with it.

    Parameters
    ----------
    task
        What to do.
    watch
        Gets figures and looks.

    Raises
    ------
    MeUNetError
        As the engine, or if scans, labels or the model cannot be opened.
    """
    import_torch()
    from napari_meunet.measurement import measure_model
    from napari_meunet.network.checkpoint import load_checkpoint
    from napari_meunet.training.draft import draft_card, suited_to
    from napari_meunet.training.specimens.reduced import Reducer
    from napari_meunet.training.specimens.scans import labelled_scans, open_pair
    from napari_meunet.training.train import train

    request, output = task.request, task.request.output
    require_writable(output)
    initial = load_checkpoint(request.initial) if request.initial else None
    config = suited_to(initial, request.config) if initial else request.config
    others = labelled_scans(request.validation) if request.validation else []
    held_out = [open_pair(*pair) for pair in others]
    named = initial.card.classes if initial else request.classes
    pairs, classes = _pairs(task, named)
    before = initial.card if initial else None
    reducer = Reducer(request.voxel_size, before, config)
    pairs, validation = reducer.to_learn_from(pairs), reducer.reduced(held_out)
    watch.remark = "; ".join(reducer.remarks)
    card = draft_card(
        output,
        classes,
        config,
        [scan or labels for scan, labels in pairs],
        command="the Train dock of napari",
        initial=initial,
        voxel_size=reducer.voxel_size,
        description=request.description,
        licence=request.licence,
    )
    steps = train(
        pairs,
        config,
        card,
        output,
        initial=initial,
        validation=validation,
        show=watch.take_look,
    )
    yield from _remembered(steps, request, Course(config), watch)
    watch.is_trained = True
    how = SegmentationConfig(device=config.device, memory=config.memory)
    yield from measure_model(output, held_out, how)


def _remembered(steps: Steps, request: Request, course: Course, watch: Watch) -> Steps:
    """Pass the steps on, with a log and the request beside them to go on with."""
    output = request.output
    goes_on, done = state_path(output).exists(), 0
    if goes_on:
        done = max((each.step for each in course.figures(output)), default=0)
    else:  # what goes on has its request, or was begun by other means
        _remember(request)
    try:
        logged = logged_to_csv(steps, log_path(output), append=goes_on)
        yield from watch.follow(logged, course, done)
    finally:
        if not state_path(output).exists():
            request_path(output).unlink(missing_ok=True)


def _remember(request: Request) -> None:
    path = request_path(request.output)
    with writing(path), replacing(path) as temporary:
        temporary.write_text(request.model_dump_json(indent=1), encoding="utf-8")


def _pairs(
    task: Task, named: tuple[LabelClass, ...]
) -> tuple[list["Pair"], tuple[LabelClass, ...]]:
    """Open scans and labels; return them, and the classes: `named` if no file is."""
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.training.patches.sparse import only_painted_planes
    from napari_meunet.training.specimens.scans import open_label_maps
    from napari_meunet.volume.volume import Volume

    request, painted = task.request, task.request.painted_planes
    if request.folder is not None:
        return open_label_maps(request.folder, painted=painted), named
    if task.image is None or task.labels is None:
        raise MeUNetError(
            "training needs the scan and its labels in the viewer, got none of one of "
            "them; open both, or choose a folder of labelled scans"
        )
    image = volume_of(task.image)
    store = store_of(task.labels)
    if store is None:
        labels = _in_viewer(task.labels)
        return [(image, only_painted_planes(labels) if painted else labels)], named
    store.require_scan(image)
    # a map of its own: the layer's one goes when the layer is removed
    mine = LabelStore.open(store.folder, writable=False)
    labels = Volume.from_array(mine.labels, mine.spacing)
    if painted:  # and not those that only the model has labelled
        labels = only_painted_planes(labels, mine.corrected_planes())
    return [(image, labels)], mine.classes


def _in_viewer(layer: Labels) -> "Volume":
    """Return labels that lie in no folder of ours."""
    from napari_meunet.volume.volume import Volume

    attributes = {"metadata": {}, "scale": layer.scale, "units": layer.units}
    array, spacing, _ = labels_of(layer.data, attributes)
    return Volume.from_array(array, spacing)
