"""Curves, pictures and the counting of steps of the Train dock."""

import numpy as np

from napari_meunet.config import TrainingConfig
from napari_meunet.network.classes import named_classes
from napari_meunet.plugin.training import Course, Figure, Watch
from napari_meunet.plugin.widgets.curves import Curves
from napari_meunet.plugin.widgets.plane_picture import HEIGHT, overlay
from napari_meunet.progress import Progress

CONFIG = TrainingConfig(stage1_steps=10, stage2_steps=5, joint_steps=3)


def test_steps_of_all_phases_are_counted_as_one():
    course = Course(CONFIG)
    assert course.total == 18
    phases = [("stage 1", 4), ("stage 1", 10), ("stage 2", 1), ("both stages", 3)]
    assert [course.at(*phase) for phase in phases] == [4, 10, 11, 18]


def test_a_phase_without_steps_takes_no_room():
    config = CONFIG.model_copy(update={"stage1_steps": 0})
    assert Course(config).at("stage 2", 1) == 1


def test_every_figure_is_kept_and_statistics_do_not_turn_back_the_bar():
    steps = (
        Progress(10, 10, "steps", "stage 1", {"loss": 0.5, "Dice gut": 0.25}),
        Progress(1, 100, "batches", "stage 1, statistics"),
        Progress(1, 5, "steps", "stage 2", {"loss": 0.4}),
    )
    watch = Watch()
    shown = list(watch.follow((step for step in steps), Course(CONFIG)))
    assert [(step.done, step.total) for step in shown] == [(10, 18), (10, 18), (11, 18)]
    assert list(watch.figures) == [
        Figure(10, "loss", 0.5),
        Figure(10, "Dice gut", 0.25),
        Figure(11, "loss", 0.4),
    ]


def test_a_message_on_the_way_is_no_phase():
    steps = (
        Progress(0, 10, "steps", "stage 1: 3 GB a step, 2 of 9 stages computed twice"),
        Progress(1, 10, "steps", "stage 1", {"loss": 0.5}),
        Progress(1, 10, "steps", "cuda:0 ran out of memory; going on with 2 GB"),
        Progress(2, 10, "steps", "stage 1", {"loss": 0.4}),
        Progress(1, 5, "steps", "stage 2", {"loss": 0.3}),
    )
    watch = Watch()
    shown = list(watch.follow((step for step in steps), Course(CONFIG)))
    assert [step.done for step in shown] == [0, 1, 1, 2, 11]
    assert [figure.step for figure in watch.figures] == [1, 2, 11]
    assert watch.remark == f"{steps[0].message}; {steps[2].message}"


def test_a_remark_on_the_scans_is_kept():
    watch = Watch()
    steps = (step for step in [Progress(1, 1, "scans", "no gut in fly")])
    list(watch.follow(steps, Course(CONFIG)))
    assert watch.remark == "no gut in fly"


def test_a_step_that_is_repeated_replaces_its_point(qtbot):
    curves = Curves("Loss", "")
    qtbot.addWidget(curves)
    curves.begin(9, {"loss": "#ffffff"})
    curves.add([Figure(1, "loss", 3.0), Figure(2, "loss", 2.0), Figure(2, "Dice", 1)])
    curves.add([Figure(2, "loss", 1.5)])
    assert curves.points("loss") == [(1, 3.0), (2, 1.5)]
    assert curves.points("Dice") == []


def test_what_is_found_is_coloured_and_what_was_drawn_is_outlined():
    image = np.full((HEIGHT, HEIGHT), 0.5, np.float32)
    labels, found = (np.zeros(image.shape, np.uint8) for _ in range(2))
    labels[10:20, 10:20] = 1
    labels[100:] = 255
    found[50:60] = 2
    pixels = overlay(image, labels, found, named_classes(["gut", "ovary"]))
    white = np.all(pixels == 255, axis=2)
    assert white.sum() == 10 * 10 - 8 * 8
    assert white[10, 10:20].all()
    blue = np.array([0x4E, 0x79, 0xA7])
    np.testing.assert_allclose(pixels[55, 5], (127.5 + blue) / 2, atol=1)
    np.testing.assert_array_equal(pixels[150, 5], 127)


def test_a_small_plane_is_enlarged():
    plane = np.zeros((10, 20), np.uint8)
    pixels = overlay(plane.astype(np.float32), plane, plane, named_classes(["gut"]))
    assert pixels.shape == (130, 260, 3)
