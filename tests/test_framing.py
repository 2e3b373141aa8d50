"""Where the canvas lies, and what is seen around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from signgen.keypoints import Keypoints
from signgen.rendering.compositing import Compositor, lift
from signgen.rendering.framing import Framing, choose_framing, find_stance, typical_stance
from signgen.rendering.scene import build_scene, place_source
from signgen.rendering.source import Source

CANVAS = (210, 260)
ASPECT = 0.81


def person(size: tuple[int, int], x: float, y: float, width: float, head: float, frames: int = 3) -> Keypoints:
    """A clip of someone whose shoulders and nose are all that is known."""
    xy = np.zeros((frames, 133, 2), np.float32)
    confidence = np.zeros((frames, 133), np.float32)
    xy[:, 0], xy[:, 5], xy[:, 6] = (x, y - head), (x + width / 2, y), (x - width / 2, y)
    confidence[:, [0, 5, 6]] = 0.9
    return Keypoints(xy, confidence, width=size[0], height=size[1], fps=25.0, name="clip")


REFERENCE = find_stance(person(CANVAS, 108, 122, 90, 56))


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (512, 512), (256, 256)])
def test_shoulders_and_nose_meet_the_sources(size):
    driving = person(size, size[0] * 0.45, size[1] * 0.5, size[1] * 0.35, size[1] * 0.2)
    framing, warnings = choose_framing(driving, REFERENCE, CANVAS, size, ASPECT)
    found = find_stance(framing.to_canvas(driving))
    assert (found.x, found.y) == pytest.approx((REFERENCE.x, REFERENCE.y), abs=0.6)
    assert found.width == pytest.approx(REFERENCE.width, rel=0.01)
    assert found.head == pytest.approx(REFERENCE.head, rel=0.01)
    assert framing.output == size
    assert not warnings


@pytest.mark.parametrize(
    ("width", "head", "stretch", "kept"),
    [(40, 150, 1.4, "head"), (150, 25, 0.7, "width")],  # someone seen from the side; someone bent forwards
)
def test_stretch_is_bounded_and_what_is_not_foreshortened_says_the_scale(width, head, stretch, kept):
    driving = person((640, 480), 320, 240, width, head)
    framing, _ = choose_framing(driving, REFERENCE, CANVAS, (640, 480), ASPECT)
    assert (CANVAS[0] / framing.width) / (CANVAS[1] / framing.height) == pytest.approx(stretch, rel=0.02)
    found = find_stance(framing.to_canvas(driving))
    assert getattr(found, kept) == pytest.approx(getattr(REFERENCE, kept), rel=0.02)


def test_tilted_shoulders_are_as_wide_as_level_ones():
    level = person((640, 480), 320, 240, 160, 100)
    xy = level.xy.copy()
    turned = (xy[:, 5:7] - xy[:, 5:7].mean(1, keepdims=True)) @ np.array([[0.8, 0.6], [-0.6, 0.8]], np.float32)
    xy[:, 5:7] = turned + xy[:, 5:7].mean(1, keepdims=True)
    assert find_stance(replace(level, xy=xy)).width == pytest.approx(find_stance(level).width, rel=1e-3)


@pytest.mark.parametrize("factor", [1, 2])
def test_the_canvas_shape_is_taken_as_it_is(factor):
    size = (210 * factor, 260 * factor)
    driving = person(size, 108 * factor, 122 * factor, 90 * factor, 56 * factor)
    framing, warnings = choose_framing(driving, REFERENCE, CANVAS, size, ASPECT)
    assert (framing.x, framing.y, framing.width, framing.height) == (0, 0, *size)
    assert not warnings
    assert framing.identity == (factor == 1)


def test_a_signer_who_is_small_or_huge_in_the_frame_is_warned_about():
    small = person((640, 480), 320, 120, 60, 35)
    framing, warnings = choose_framing(small, REFERENCE, CANVAS, (640, 480), ASPECT)
    assert len(warnings) == 1
    assert f"{framing.width}x{framing.height} of 640x480" in warnings[0]
    huge = person((1920, 1080), 960, 540, 480, 250)
    assert "will look soft" in choose_framing(huge, REFERENCE, CANVAS, (1920, 1080), ASPECT)[1][0]


def test_a_misfit_is_warned_about_with_its_figures():
    driving = person(CANVAS, 150, 122, 117, 56)
    _, warnings = choose_framing(driving, REFERENCE, CANVAS, CANVAS, ASPECT)
    assert warnings == ["shoulders are 1.30 x as wide as the source's and 0.47 shoulder widths off: try --align"]
    _, unknown = choose_framing(driving, REFERENCE, CANVAS, CANVAS, ASPECT, known=False)
    assert "a usual signer's" in unknown[0]
    assert unknown[0].endswith("give --source-keypoints and --align")


def test_without_shoulders_the_whole_frame_is_used():
    xy, confidence = np.zeros((1, 133, 2), np.float32), np.zeros((1, 133), np.float32)
    confidence[:, 91:112] = 1
    driving = Keypoints(xy, confidence, width=640, height=480, fps=25.0)
    framing, warnings = choose_framing(driving, REFERENCE, CANVAS, (640, 480), ASPECT)
    assert framing.height == 480
    assert framing.x > 0
    assert len(warnings) == 1


def test_there_and_back():
    driving = person((640, 480), 300, 250, 150, 90)
    framing, _ = choose_framing(driving, REFERENCE, CANVAS, (640, 480), ASPECT)
    back = framing.to_output(framing.to_canvas(driving))
    assert np.allclose(back.xy, driving.xy, atol=1e-3)
    assert back.size == (640, 480)


def test_pictures_and_points_move_alike():
    image = np.zeros((480, 640, 3), np.uint8)
    image[236:245, 296:305] = 255  # centred on pixel (300, 240)
    framing = Framing((640, 480), CANVAS, (640, 480), 100, 40, 400, 420)
    canvas = lift(image, framing).astype(float).sum(axis=2)
    ys, xs = np.mgrid[: CANVAS[1], : CANVAS[0]]
    point = framing.to_canvas(person((640, 480), 300, 240, 10, 0)).xy[0, 0]
    assert (xs * canvas).sum() / canvas.sum() == pytest.approx(point[0], abs=0.05)
    assert (ys * canvas).sum() / canvas.sum() == pytest.approx(point[1], abs=0.05)


def test_compositing_fills_the_output_and_keeps_the_painted_middle():
    source = np.full((260, 210, 3), 90, np.uint8)
    painted = np.full((260, 210, 3), 200, np.uint8)
    out = Compositor(source, Framing((640, 480), CANVAS, (640, 480), 120, 50, 380, 400)).compose(painted)
    assert out.shape == (480, 640, 3)
    assert (out[80:420, 150:470] == 200).all()
    for outside in (out[:, :110], out[:, 510:], out[:40]):
        assert (outside == 90).all()


def test_backdrop_rows_go_on_sideways():
    ramp = np.linspace(0, 255, 260).astype(np.uint8)
    source = np.repeat(ramp[:, None], 210, axis=1)[..., None].repeat(3, axis=2)
    out = Compositor(source, Framing((320, 260), CANVAS, (320, 260), 55, 0, 210, 260)).compose(source)
    assert (np.abs(np.diff(out.astype(int), axis=1)) <= 1).all()


@pytest.mark.parametrize("size", [(320, 480), (1280, 720), (96, 96)])
def test_a_canvas_much_larger_than_the_output_is_cropped(size):
    framing = Framing(size, CANVAS, size, -200, -150, 4 * size[0], 4 * size[1])
    out = Compositor(np.zeros((260, 210, 3), np.uint8), framing).compose(np.full((260, 210, 3), 7, np.uint8))
    assert out.shape == (size[1], size[0], 3)
    assert (out == 7).all()


def test_typical_stance_is_within_the_canvas():
    stance = typical_stance(CANVAS)
    assert stance.width / 2 < stance.x < CANVAS[0] - stance.width / 2
    assert stance.head < stance.y


def test_a_source_of_another_shape_is_cut_around_the_person():
    image = np.zeros((480, 640, 3), np.uint8)
    points = person((640, 480), 400, 230, 120, 80, frames=1)
    canvas, on_canvas, framing, warnings = place_source(Source(image, points, "me.png", "image"), CANVAS, ASPECT)
    found, wanted = find_stance(on_canvas), typical_stance(CANVAS)
    assert canvas.shape == (260, 210, 3)
    assert framing.output == (640, 480)
    assert len(warnings) == 1
    assert found.width == pytest.approx(wanted.width, rel=0.02)
    assert found.x == pytest.approx(wanted.x, abs=1)


def test_driving_in_the_sources_own_frame_keeps_its_surroundings():
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    points = person((640, 480), 400, 230, 120, 80, frames=1)
    driving = person((640, 480), 404, 232, 122, 80)
    scene = build_scene(Source(image, points, "me.png", "image"), driving, CANVAS, ASPECT, None, False)
    out = Compositor(scene.image, scene.framing, scene.surroundings).compose(scene.image)
    assert (out[:, :100] == image[:, :100]).all()
    moved = find_stance(scene.driving).x - find_stance(scene.person).x
    assert moved == pytest.approx(4 * 210 / scene.framing.width, abs=0.1)


def test_an_elbow_at_the_edge_does_not_become_a_bar():
    source = np.full((260, 210, 3), 180, np.uint8)
    source[130:185, :60] = (15, 15, 20)
    out = Compositor(source, Framing((640, 480), CANVAS, (640, 480), 101, 5, 498, 499)).compose(source)
    assert (out[:, :90] == 180).all()


def test_hands_on_the_lower_edge_do_not_become_pillars():
    source = np.full((260, 210, 3), 200, np.uint8)
    source[100:, 60:150] = (30, 30, 40)  # clothes
    source[235:, 90:110] = (210, 145, 112)  # a hand
    out = Compositor(source, Framing((300, 500), CANVAS, (300, 500), 45, 20, 210, 260)).compose(source)
    assert (out[330, 110:190] == (30, 30, 40)).all()
    assert (out[330, :90] == 200).all()


def test_a_bent_arm_in_the_source_does_not_shorten_the_driving_arms():
    def with_arm(length: float, frames: int = 1) -> Keypoints:
        clip = person(CANVAS, 108, 122, 90, 56, frames)
        xy, confidence = clip.xy.copy(), clip.confidence.copy()
        xy[:, 7], xy[:, 9] = xy[:, 5] + (0, length), xy[:, 5] + (0, 2 * length)
        confidence[:, [7, 9]] = 0.9
        return Keypoints(xy, confidence, width=210, height=260, fps=25.0)

    source = Source(np.zeros((260, 210, 3), np.uint8), with_arm(20), "anna", "signer")
    scene = build_scene(source, with_arm(60, 3), CANVAS, ASPECT, None, True)
    assert scene.driving.xy[0, 7, 1] - scene.driving.xy[0, 5, 1] == pytest.approx(60, abs=0.5)


def test_hands_below_the_frame_are_no_hands_that_cannot_be_shown():
    """A resting hand that the driving frame does not show either is worth no warning; one at its side is."""
    clip = person((640, 480), 320, 240, 160, 90)
    confidence = clip.confidence.copy()
    confidence[:, 91:112] = 0.9
    for place, warned in (((320, 700), False), ((600, 240), True), ((320, 300), False)):
        xy = clip.xy.copy()
        xy[:, 91:112] = place
        notes = choose_framing(replace(clip, xy=xy, confidence=confidence), REFERENCE, CANVAS, (640, 480), ASPECT)[1]
        assert any("cannot be shown" in note for note in notes) == warned, place


def test_a_figure_far_above_the_lower_edge_is_no_pillar():
    """Clothes go on for half of the painted height below it, and fade into the backdrop in as much again."""
    canvas = np.full((260, 210, 3), 220, np.uint8)
    canvas[60:, 70:140] = 30
    framing = Framing((640, 1000), CANVAS, (640, 1000), 200, 0, 210, 260)
    column = Compositor(canvas, framing).compose(canvas)[:, 305, 0]
    assert (column[300:380] == 30).all()
    assert (np.diff(column[390:520].astype(int)) >= 0).all()
    assert (column[530:] == 220).all()
