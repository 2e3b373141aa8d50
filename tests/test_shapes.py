"""A size of another shape: people keep theirs, empty margin is cut and backdrop is added, and a line says so."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import keypoint_maker
import numpy as np
import pytest
from click.testing import CliRunner

from signgen.cli import main
from signgen.errors import BadValue
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.skeleton import SHOULDERS
from signgen.pose_image import draw_pose
from signgen.pose_image.shapes import same_shape, window_for
from signgen.rendering.compositing import placed
from signgen.rendering.scene import build_scene
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import load_source

SHARED = Path(os.environ.get("SIGNGEN_SHARED", "/absent"))
CANVAS, ASPECT = (210, 260), 0.81
RUNNER = CliRunner()


def standing(width: int, height: int, scale: float = 1.0, frames: int = 4) -> Keypoints:
    """A drawn person in the middle of a frame, the shoulders 86 x ``scale`` pixels apart."""
    xy = keypoint_maker.points(frames)
    xy = xy - xy[:, SHOULDERS].mean((0, 1))
    xy = xy * scale + [width / 2, 0.45 * height]
    confidence = np.full(xy.shape[:2], 0.9)
    confidence[:, 11:23] = 0
    return Keypoints(xy, confidence, width, height, 25.0, "standing")


def aspect_of_body(keypoints: Keypoints) -> float:
    """Width of the shoulders over the height of the nose above them."""
    shoulders = keypoints.xy[:, SHOULDERS]
    width = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1)
    return float(np.median(width / (shoulders[..., 1].mean(1) - keypoints.xy[:, 0, 1])))


SIZES = [(256, 256), (480, 640), (210, 260), (1280, 300), (300, 900), (512, 288), (64, 480)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frame", [(640, 480), (210, 260), (1080, 1920)])
def test_a_window_has_the_shape_and_holds_the_person(frame, size):
    clip = standing(*frame, scale=frame[0] / 420)
    window = window_for(clip, size)
    if same_shape(frame, size):
        assert window is None
        return
    assert window is not None
    assert same_shape((window.width, window.height), size)
    shown = window.of(clip)
    inside = (clip.xy >= 0).all(-1) & (clip.xy < clip.size).all(-1) & (clip.confidence > 0)
    assert (shown.xy[inside] >= 0).all()
    assert (shown.xy[inside] < shown.size).all()
    assert aspect_of_body(shown.resized(*size)) == pytest.approx(aspect_of_body(clip), rel=0.015)
    assert np.abs(window.back(shown).xy - clip.xy).max() < 1e-2


def test_empty_margin_is_cut_before_backdrop_is_added():
    clip = standing(640, 480, 1.2)
    square = window_for(clip, (256, 256))
    assert (square.width, square.height, square.y) == (480, 480, 0)
    line = square.line("--size", (256, 256))
    assert (
        "--size 256x256 has another shape than the 640x480 frame: 160 pixels of empty margin are cut at the sides"
        in line
    )
    wide = replace(clip, xy=clip.xy.copy())
    wide.xy.flags.writeable = True
    wide.xy[0, 91], wide.xy[1, 112] = [620, 300], [15, 300]
    kept = window_for(wide, (256, 256))
    assert kept.width > 600
    assert kept.y < 0
    assert kept.y + kept.height == 480, "backdrop is added above: a body may not end above the lower edge"
    assert "of backdrop are added above" in kept.line("--size", (256, 256))
    aside = replace(clip, xy=clip.xy - [220, 0])
    assert window_for(aside, (256, 256)).x < 60, "the cut goes where nobody is"


def test_a_tall_frame_is_cut_above_the_head_first():
    clip = standing(480, 900, 1.0)
    clip = replace(clip, xy=clip.xy + np.array([0, 250], np.float32))
    window = window_for(clip, (480, 640))
    assert (window.x, window.width) == (0, 480)
    assert window.y + window.height == 900
    assert "260 pixels of empty margin are cut above or below" in window.line("--size", (480, 640))


def test_a_shape_without_end_is_an_error():
    with pytest.raises(BadValue) as error:
        window_for(standing(640, 480), (8192, 16))
    assert error.value.subject == "--size"


@pytest.mark.parametrize("frame", [(640, 480), (210, 260)])
@pytest.mark.parametrize("size", [(256, 256), (480, 640), (800, 300)])
def test_a_scene_keeps_people_and_says_what_it_did(frame, size):
    clip, source = standing(*frame), load_source("bela")
    scene = build_scene(source, clip, CANVAS, ASPECT, size, align=False)
    on_output = scene.framing.to_output(scene.driving[:])
    assert aspect_of_body(on_output) == pytest.approx(aspect_of_body(clip), rel=0.02)
    assert any(line.startswith(f"--size {size[0]}x{size[1]} has another shape") for line in scene.warnings)
    drawn = window_for(clip, size).of(clip).resized(*size)
    assert np.abs(on_output.xy - drawn.xy)[:, :11].max() < 2, "where the pose images have the person"
    stretched = build_scene(source, clip, CANVAS, ASPECT, size, align=False, fit="stretch")
    squeezed = stretched.framing.to_output(stretched.driving[:])
    ratio = size[0] / size[1] / (frame[0] / frame[1])
    assert aspect_of_body(squeezed) == pytest.approx(aspect_of_body(clip) * ratio, rel=0.02)
    assert not any("another shape" in line for line in stretched.warnings)


def test_a_size_of_the_same_shape_changes_nothing():
    clip, source = standing(640, 480), load_source("bela")
    for size in ((640, 480), (320, 240)):
        kept, stretched = (build_scene(source, clip, CANVAS, ASPECT, size, False, fit) for fit in ("keep", "stretch"))
        assert kept.framing == stretched.framing
        assert kept.warnings == stretched.warnings


def test_a_source_in_its_own_frame_keeps_its_backdrop_where_more_is_shown():
    """Keypoints of the source video itself: its picture lies in the window as the frame does."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[..., 0], image[..., 1] = np.linspace(60, 200, 640)[None], 90
    clip = standing(640, 480)
    source = replace(load_source("bela"), image=image, keypoints=clip[0:1], kind="image", name="own.png")
    scene = build_scene(source, clip, CANVAS, ASPECT, (256, 256), align=False)
    x, y, width, height = scene.window.place((256, 256))
    assert scene.surroundings.shape == (256, 256, 3)
    columns = np.clip(np.arange(256), max(x, 0), min(x + width, 256) - 1)
    wanted = np.interp((columns - x + 0.5) / width * 640 - 0.5, np.arange(640), np.linspace(60, 200, 640))
    assert np.abs(scene.surroundings[128, :, 0] - wanted).max() < 3


def test_pose_images_keep_their_shape():
    clip = standing(640, 480, 1.2)

    def extent(picture: np.ndarray) -> float:
        rows, columns = np.nonzero(picture.any(-1))
        return float(np.ptp(columns) / np.ptp(rows))

    own = extent(draw_pose(clip)[0])
    assert extent(draw_pose(clip, (256, 256))[0]) == pytest.approx(own, rel=0.05)
    assert extent(draw_pose(clip, (256, 256), fit="stretch")[0]) == pytest.approx(own * 0.75, rel=0.05)
    assert np.array_equal(draw_pose(clip, (320, 240)), draw_pose(clip, (320, 240), fit="stretch"))


def test_a_true_video_is_never_squeezed_beside_the_result():
    image = np.full((100, 200, 3), 255, np.uint8)
    out = placed(image, (60, 60), (0, 0, 60, 60))
    assert out.any(-1).sum(0).max() == 30
    assert out.any(-1)[15:45].all()
    assert not out[:14].any()
    assert np.array_equal(placed(image, (200, 100), (0, 0, 200, 100)), image)
    cut = placed(image, (100, 100), (-50, 0, 200, 100))
    assert cut.all()


def test_draw_says_it_and_stretches_only_when_asked(tmp_path):
    write_keypoints(standing(640, 480, 1.2), tmp_path / "a.npz")
    run = ["draw", str(tmp_path / "a.npz"), "-o", str(tmp_path / "out"), "--size", "256x256", "--json"]
    done = json.loads(RUNNER.invoke(main, run).stdout)
    (line,) = [warning for warning in done["warnings"] if "another shape" in warning]
    assert (done["width"], done["height"]) == (256, 256)
    done = json.loads(RUNNER.invoke(main, [*run, "--fit", "stretch"]).stdout)
    assert not any("another shape" in warning for warning in done["warnings"])


def test_a_fit_must_be_one_of_two():
    with pytest.raises(BadValue) as error:
        RenderSettings(fit="crop")
    assert error.value.subject == "--fit"


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="SIGNGEN_SHARED does not lead to the cases")
def test_the_case_that_was_sent():
    clip = read_keypoints(SHARED / "cases/size_stretch.npz").keypoints
    scene = build_scene(load_source("bela"), clip, CANVAS, ASPECT, (256, 256), align=False)
    assert aspect_of_body(scene.framing.to_output(scene.driving[:])) == pytest.approx(aspect_of_body(clip), rel=0.01)
    assert sum("another shape" in line for line in scene.warnings) == 1
