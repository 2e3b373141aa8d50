"""Pose images: the reference's pixels, and what style ``signgen`` promises to show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from signgen.errors import BadValue, Mismatch
from signgen.keypoints import Keypoints
from signgen.pose_image import draw_frame, draw_pose, fpdm

LEFT, RIGHT = 91, 112
SIZE = (210, 260)


def open_hand(wrist: tuple[float, float], thumb_side: int, reach: float = 40.0) -> np.ndarray:
    """(21, 2): a flat hand, fingers up, its thumb towards +x (1) or -x (-1)."""
    points = np.zeros((21, 2))
    for finger in range(5):
        aside = thumb_side * (2 - finger) / 2
        for joint in range(1, 5):
            points[4 * finger + joint] = (aside * (6 + 2.5 * joint), -reach * (0.25 + 0.18 * joint))
    return points + wrist


def pose(confidence: float = 0.9, **hands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (133, 2) and confidence (133,) of the hands alone."""
    xy, scores = np.zeros((133, 2)), np.zeros(133)
    for side, points in hands.items():
        first = LEFT if side == "left" else RIGHT
        xy[first : first + 21], scores[first : first + 21] = points, confidence
    return xy, scores


# --- the reference's drawing -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference(golden: Path) -> tuple[dict, dict[str, np.ndarray], Path]:
    from safetensors.numpy import load_file

    return (
        json.loads((golden / "fpdm_pose_image.json").read_text()),
        load_file(golden / "fpdm_pose_image.io.safetensors"),
        golden,
    )


def test_reference_pixels(reference) -> None:
    words, arrays, folder = reference
    limbs = [tuple(limb) for limb in words["limbs_1based"]]
    frame_size = (words["config"]["anno_width"], words["config"]["anno_height"])
    assert words["images"]
    for image in words["images"]:
        xy = arrays[image["keypoints"]][None]
        drawn = fpdm.draw_clip(
            xy,
            np.ones(xy.shape[:2]),
            frame_size,
            (image["width"], image["height"]),
            image["stickwidth"],
            (limbs, arrays["colors"]),
            words["config"]["point_radius"],
        )[0]
        wanted = np.asarray(Image.open(folder / image["file"]).convert("RGB"))
        assert np.array_equal(drawn, wanted), f"{image['file']}: {(drawn != wanted).any(-1).sum()} pixels differ"


def test_reference_tables_are_built_in(reference) -> None:
    words, arrays, _ = reference
    assert fpdm.limb_list() == [tuple(limb) for limb in words["limbs_1based"]]
    assert np.array_equal(fpdm.colour_table(), arrays["colors"])


def test_reference_colours_leave_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].copy()
    fpdm.colour_table()
    assert np.array_equal(before, np.random.get_state()[1])


def test_a_point_of_the_reference_is_a_diamond_whatever_the_size() -> None:
    xy, scores = np.zeros((133, 2)), np.zeros(133)
    xy[0], scores[0] = (3, 3), 1
    drawn = draw_frame(xy, scores, (7, 7), "fpdm").any(-1)
    assert drawn.sum(1).tolist() == [0, 1, 3, 5, 3, 1, 0]
    xy[0] = (-1.5, 3)  # beside the picture: what is left of it is its tip
    assert draw_frame(xy, scores, (7, 7), "fpdm").any(-1).sum(1).tolist() == [0, 0, 1, 2, 1, 0, 0]


# --- style signgen -----------------------------------------------------------------------------------------------


def test_nothing_seen_nothing_drawn() -> None:
    assert not draw_frame(np.zeros((133, 2)), np.zeros(133), SIZE).any()


def test_a_line_covers_its_own_area() -> None:
    """Length times width plus the round ends, wherever the line lies between the pixels."""
    from signgen.pose_image.palette import ARM_WIDTH, GROUPS

    colour = np.array(GROUPS["torso"][0])
    for shift in (0.0, 0.3, 0.5):
        xy, scores = np.zeros((133, 2)), np.zeros(133)
        xy[5], xy[6], scores[[5, 6]] = (150 + shift, 100 + shift), (60 + shift, 70 + shift), 1
        # The shoulders also begin the arms, as dots of the arms' own layers over the ends: leave those pixels out.
        area = (draw_frame(xy, scores, SIZE)[:, 70:140].astype(float) / colour).mean(-1).sum()
        assert area == pytest.approx(ARM_WIDTH * 70 * np.hypot(90, 30) / 90, rel=0.02)


def test_left_and_right_hands_have_different_colours() -> None:
    hand = open_hand((105, 150), 1)
    left, right = draw_frame(*pose(left=hand), SIZE), draw_frame(*pose(right=hand), SIZE)
    both = left.any(-1) & right.any(-1)
    warmth = [image[both].astype(int) @ (1, 0, -1) for image in (left, right)]
    assert warmth[0].mean() < -30 < 30 < warmth[1].mean()


@pytest.mark.parametrize(("side", "palm_thumb"), [("left", -1), ("right", 1)])
def test_palm_is_bright_and_back_is_dark(side: str, palm_thumb: int) -> None:
    """A left hand that shows its palm has its thumb on the picture's left when the fingers point up."""
    palm, back = (
        draw_frame(*pose(**{side: open_hand((105, 150), thumb, 60)}), SIZE)[125:132, 95:115].sum(-1)
        for thumb in (palm_thumb, -palm_thumb)
    )
    assert np.median(palm) > 1.6 * np.median(back) > 0


def test_each_finger_has_its_own_hue() -> None:
    xy, scores = pose(left=open_hand((60, 150), -1, 60), right=open_hand((150, 150), 1, 60))
    image = draw_frame(xy, scores, SIZE).astype(float)
    tips = np.array([image[int(xy[k, 1]) + 3, int(xy[k, 0])] for s in (LEFT, RIGHT) for k in range(s + 4, s + 21, 4)])
    hues = tips / np.linalg.norm(tips, axis=1, keepdims=True)
    apart = np.linalg.norm(hues[:, None] - hues, axis=-1) + 9 * np.eye(10)
    assert apart.min() > 0.12


def test_fingers_are_brighter_towards_the_tip() -> None:
    xy, scores = pose(right=open_hand((105, 200), 1, 80))
    image = draw_frame(xy, scores, SIZE).astype(int).sum(-1)
    for knuckle in range(RIGHT + 5, RIGHT + 21, 4):
        levels = [image[tuple(np.round(xy[knuckle + k]).astype(int)[::-1])] for k in range(1, 4)]
        assert levels[0] < levels[1] < levels[2]


def test_confidence_dims() -> None:
    hand = open_hand((105, 150), 1)
    levels = [draw_frame(*pose(c, right=hand), SIZE).astype(float).sum() for c in (0.04, 0.2, 0.35, 0.5, 0.9)]
    assert levels[0] == 0
    assert all(a < 0.9 * b for a, b in zip(levels, levels[1:], strict=False))
    assert levels[2] < 0.7 * levels[4]


def test_the_hand_seen_better_lies_on_top() -> None:
    hand = open_hand((105, 150), 1)
    xy, scores = pose(left=hand, right=hand)
    for better, sign in ((LEFT, -1), (RIGHT, 1)):
        scores[better : better + 21] = 1.0
        image = draw_frame(xy, scores, SIZE).astype(int)
        assert sign * (image @ (1, 0, -1)).sum() > 0
        scores[better : better + 21] = 0.9


def test_missing_joint_breaks_its_finger_only() -> None:
    hand = open_hand((105, 150), 1, 60)
    xy, scores = pose(right=hand)
    whole = draw_frame(xy, scores, SIZE)
    scores[RIGHT + 7], xy[RIGHT + 7] = 0, 0
    broken = draw_frame(xy, scores, SIZE)
    changed = (whole != broken).any(-1)
    assert changed.sum() > 20
    low, high = np.round(hand[6]).astype(int), np.round(hand[8]).astype(int)
    rows, columns = np.nonzero(changed)
    assert rows.min() >= high[1] - 3
    assert rows.max() <= low[1] + 3
    assert columns.min() >= min(low[0], high[0]) - 3
    assert columns.max() <= max(low[0], high[0]) + 3


def test_all_points_are_seen_alone() -> None:
    for joint in range(133):
        xy, scores = np.zeros((133, 2)), np.zeros(133)
        xy[joint], scores[joint] = (50, 60), 1
        assert draw_frame(xy, scores, SIZE)[58:63, 48:53].any(), joint


def test_mirror_image_covers_the_same_pixels() -> None:
    rng = np.random.default_rng(1)
    xy = rng.uniform(20, 190, (1, 133, 2)).astype(np.float32)
    clip = Keypoints(xy, np.full((1, 133), 0.9, np.float32), 210, 260, 25.0)
    drawn, mirrored = draw_pose(clip)[0].any(-1), draw_pose(clip.mirror())[0].any(-1)
    assert (drawn != mirrored[:, ::-1]).mean() < 0.002


def test_batch_equals_single_frames_and_ranges() -> None:
    rng = np.random.default_rng(2)
    xy = rng.uniform(-50, 300, (5, 133, 2)).astype(np.float32)
    clip = Keypoints(xy, rng.uniform(0.01, 1, (5, 133)).astype(np.float32), 210, 260, 25.0)
    for style in ("signgen", "fpdm"):
        batch = draw_pose(clip, style=style)
        assert np.array_equal(batch[2:4], draw_pose(clip, style=style, start=2, stop=4))
        assert np.array_equal(batch[3], draw_frame(clip.xy[3], clip.confidence[3], SIZE, style))


def test_size_scales_pixel_centres() -> None:
    xy, scores = np.zeros((1, 133, 2), np.float32), np.zeros((1, 133), np.float32)
    xy[0, 5], scores[0, 5] = (100, 130), 1
    clip = Keypoints(xy, scores, 210, 260, 25.0)
    for factor in (1, 2, 3):
        image = draw_pose(clip, (210 * factor, 260 * factor))[0].astype(float).sum(-1)
        rows, columns = np.indices(image.shape)
        centre = (columns * image).sum() / image.sum(), (rows * image).sum() / image.sum()
        assert centre == pytest.approx((100.5 * factor - 0.5, 130.5 * factor - 0.5), abs=0.02)


@pytest.mark.parametrize("style", ["signgen", "fpdm"])
def test_wild_coordinates_are_safe(style: str) -> None:
    rng = np.random.default_rng(3)
    for value in (1e6, -1e6, 3e38, np.nan, np.inf, -np.inf):
        xy, scores = rng.uniform(0, 200, (133, 2)), np.ones(133)
        xy[rng.integers(0, 133, 40), rng.integers(0, 2, 40)] = value
        assert draw_frame(xy, scores, SIZE, style).shape == (260, 210, 3)


def test_a_limb_to_a_point_far_outside_is_drawn_to_the_edge() -> None:
    xy, scores = np.zeros((133, 2)), np.zeros(133)
    xy[7], xy[9], scores[[7, 9]] = (100, 130), (1e6, 130), 1
    assert draw_frame(xy, scores, SIZE)[130, 100:].any(-1).all()


def test_threads_draw_the_same() -> None:
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(4)
    xy, scores = rng.uniform(0, 200, (133, 2)), rng.uniform(0, 1, 133)
    alone = draw_frame(xy, scores, SIZE)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(alone, d) for d in pool.map(lambda _: draw_frame(xy, scores, SIZE), range(16)))


def test_unknown_style_and_stray_stick() -> None:
    with pytest.raises(BadValue):
        draw_frame(np.zeros((133, 2)), np.zeros(133), SIZE, "openpose")
    with pytest.raises(Mismatch):
        draw_frame(np.zeros((133, 2)), np.zeros(133), SIZE, stick=2)
