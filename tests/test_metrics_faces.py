"""SSIM of face, mouth and eyes, and sharpness of hands and faces, on pictures whose values are known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clip_maker import clip, noisy, save
from skimage.metrics import structural_similarity

from signgen.errors import InputError
from signgen.keypoints.skeleton import EYELIDS, FACE
from signgen.scoring.metrics import EyesSSIM, FaceSharpness, FaceSSIM, HandSharpness, HandSSIM, MouthSSIM
from signgen.scoring.run import Request, evaluate_request

SIZE = WIDTH, HEIGHT = 120, 130
LIPS = slice(71, 91)
KINDS = (FaceSSIM, MouthSSIM, EyesSSIM, HandSharpness, FaceSharpness)
# first column, first row, width, height of each window, by hand: see `person`
FACE_BOX, MOUTH_BOX, EYES_BOX, HAND_BOX = (36, 23, 48, 48), (47, 55, 26, 20), (43, 32, 34, 16), (20, 78, 48, 48)


def person(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints: face points in a box with the middle (60, 50), lips about (60, 65), eyes about (60, 40).

    The left hand's points have the box's middle at (44, 102), its knuckle elsewhere; the right hand is missing.
    """
    xy, sure = np.zeros((frames, 133, 2)), np.zeros((frames, 133))
    xy[:, FACE] = (60, 50)
    xy[:, 23], xy[:, 24] = (42, 30), (78, 70)
    xy[:, LIPS] = np.where(np.arange(20)[:, None] % 2, (55, 63), (65, 67))
    xy[:, EYELIDS] = np.where(np.arange(12)[:, None] % 2, (50, 39), (70, 41))
    xy[:, 91:112], xy[:, 91], xy[:, 100] = (40, 100), (30, 94), (58, 110)
    sure[:, FACE], sure[:, 91:112] = 1, 1
    return xy, sure


def texture(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, HEIGHT, WIDTH, 3), dtype=np.uint8)


def value(kind: type, pred: np.ndarray, true: np.ndarray) -> float:
    metric = kind()
    metric.update(pred, true, *person(len(true)))
    return float(metric.compute())


def part(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, width, height = box
    return image[..., top : top + height, left : left + width, :]


# ---- SSIM ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_has_one(kind: type) -> None:
    assert value(kind, texture(2), texture(2)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("kind", "box"), [(FaceSSIM, FACE_BOX), (MouthSSIM, MOUTH_BOX), (EyesSSIM, EYES_BOX)])
def test_it_is_the_ssim_of_the_window_and_of_nothing_else(kind: type, box: tuple[int, int, int, int]) -> None:
    true, pred = texture(1), noisy(texture(1), 30)
    expected = structural_similarity(
        part(true, box)[0] / 255, part(pred, box)[0] / 255, data_range=1, channel_axis=-1, gaussian_weights=True,
        use_sample_covariance=False, sigma=1.5, win_size=11,
    )  # fmt: skip
    assert value(kind, pred, true) == pytest.approx(expected, abs=1e-9)
    outside = texture(1, seed=5)
    part(outside, box)[:] = part(true, box)
    assert value(kind, outside, true) == pytest.approx(1, abs=1e-12)


def test_another_mouth_costs_the_mouth_most_the_face_a_part_and_the_eyes_nothing() -> None:
    true = texture(3)
    pred = true.copy()
    part(pred, MOUTH_BOX)[:] = part(texture(3, seed=9), MOUTH_BOX)
    assert value(EyesSSIM, pred, true) == pytest.approx(1, abs=1e-12)
    assert value(MouthSSIM, pred, true) < 0.2 < value(FaceSSIM, pred, true) < 0.9
    assert value(HandSharpness, pred, true) == pytest.approx(1, abs=1e-12)


def test_windows_move_inside_of_the_frame_and_smaller_frames_are_refused() -> None:
    true = texture(1)
    xy, sure = person(1)
    metric = FaceSSIM()
    metric.update(true, true, xy - 500, sure)
    damaged = true.copy()
    damaged[:, 48:] = damaged[:, :, 48:] = 0
    metric.update(damaged, true, xy - 500, sure)  # the window is the first 48 rows and columns
    assert float(metric.compute()) == pytest.approx(1, abs=1e-12)
    with pytest.raises(InputError, match="at least 48x48") as refused:
        metric.update(true[:, :47], true[:, :47], xy, sure)
    assert refused.value.subject == "frames"


# ---- sharpness -------------------------------------------------------------------------------------------------------


def test_sharpness_is_the_ratio_of_the_gradients() -> None:
    """Stripes of two levels under the mean of three neighbours keep a third of their contrast."""
    stripes = np.zeros((2, HEIGHT, WIDTH, 3))
    stripes[:, :, ::2] = 0.9
    blurred = (np.roll(stripes, 1, 2) + stripes + np.roll(stripes, -1, 2)) / 3
    for kind in (HandSharpness, FaceSharpness):
        assert value(kind, blurred, stripes) == pytest.approx(1 / 3)
        assert value(kind, 0.05 + stripes / 2, stripes) == pytest.approx(1 / 2)
        assert value(kind, np.full_like(stripes, 0.5), stripes) == 0
        assert value(kind, stripes, blurred) == pytest.approx(3)
        assert value(kind, stripes, np.full_like(stripes, 0.5)) == np.inf


@pytest.mark.parametrize(("kind", "box"), [(HandSharpness, HAND_BOX), (FaceSharpness, FACE_BOX)])
def test_sharpness_sees_its_windows_alone(kind: type, box: tuple[int, int, int, int]) -> None:
    true = texture(1)
    pred = np.zeros_like(true)
    part(pred, box)[:] = part(true, box)
    assert value(kind, pred, true) == pytest.approx(1)
    for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        spoilt = pred.copy()
        part(spoilt, box)[edge] = 0
        assert abs(value(kind, spoilt, true) - 1) > 1e-4


def test_a_sharp_window_counts_more_than_a_dull_one() -> None:
    """The sum of the gradients is divided, not each one: a window that shows nothing has none to lose."""
    true = texture(2).astype(float) / 255
    true[1] = 0.5 + 0.01 * true[1]
    pred = true.copy()
    pred[0] = 0.25 + true[0] / 2
    metric = FaceSharpness()
    metric.update(pred, true, *person(2))
    assert float(metric.compute()) == pytest.approx((0.5 + 0.01) / (1 + 0.01), rel=0.01)


# ---- what is left out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "points", "least"), [(FaceSSIM, FACE, 20), (FaceSharpness, FACE, 20), (MouthSSIM, LIPS, 6),
                                  (EyesSSIM, EYELIDS, 6)],
)  # fmt: skip
def test_too_few_confident_points_are_left_out_and_counted(kind: type, points: slice, least: int) -> None:
    true, metric = texture(3), kind()
    xy, sure = person(3)
    sure[:, FACE] = 0.29
    sure[0, points.start : points.start + least] = 0.3
    sure[1, points.start : points.start + least - 1] = 0.3
    pred = true.copy()
    pred[1:] = 0  # what is left out must not matter
    metric.update(pred, true, xy, sure)
    assert (int(metric.shown), int(metric.left_out)) == (1, 2)
    assert float(metric.compute()) == pytest.approx(1, abs=1e-12)


def test_points_that_are_not_confident_do_not_move_the_window() -> None:
    true = texture(1)
    xy, sure = person(1)
    sure[:, 30:35], xy[:, 30:35] = 0.1, 900
    pred = np.zeros_like(true)
    part(pred, FACE_BOX)[:] = part(true, FACE_BOX)
    metric = FaceSSIM()
    metric.update(pred, true, xy, sure)
    assert float(metric.compute()) == pytest.approx(1, abs=1e-12)


def test_sharpness_counts_the_hands_of_hand_ssim() -> None:
    true = texture(3)
    xy, sure = person(3)
    sure[0, 100] = 0.2
    sure[1, 121] = 1  # nothing but the right hand's knuckle
    sharp, ssim = HandSharpness(), HandSSIM()
    for metric in (sharp, ssim):
        metric.update(true, true, xy, sure)
    assert (int(sharp.shown), int(sharp.left_out)) == (int(ssim.hands), int(ssim.left_out)) == (3, 3)


def test_without_any_there_is_no_value() -> None:
    for kind in KINDS:
        metric = kind()
        metric.update(texture(1), texture(1), np.zeros((1, 133, 2)), np.zeros((1, 133)))
        assert np.isnan(float(metric.compute()))


# ---- in pieces, together, and in an evaluation -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_and_merged_parts_are_one_pass(kind: type) -> None:
    true = texture(5)
    pred, (xy, sure) = noisy(true, 40), person(5)
    sure[2, FACE] = sure[1, 91:] = 0
    whole, pieces, other = kind(), kind(), kind()
    whole.update(pred, true, xy, sure)
    for start, stop, metric in ((0, 2, pieces), (2, 3, other), (3, 5, other)):
        metric.update(*(array[start:stop] for array in (pred, true, xy, sure)))
    assert float(other.compute()) != float(whole.compute())
    pieces.merge_state(other)
    assert float(pieces.compute()) == pytest.approx(float(whole.compute()), rel=1e-12)
    assert float(pieces.left_out) == float(whole.left_out) > 0
    floats = kind()
    floats.update(pred / 255, true / 255, xy, sure)
    assert float(floats.compute()) == pytest.approx(float(whole.compute()), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_signature_has_every_size(kind: type) -> None:
    metric = kind(threshold=0.4)
    size = {MouthSSIM: "26x20", EyesSSIM: "34x16"}.get(kind, "48x48")
    assert metric.signature.startswith(f"{kind.key}|")
    assert f"crop:{size},border:shift" in metric.signature
    assert "confidence>=0.4" in metric.signature


def test_an_evaluation_has_values_intervals_and_counts(tmp_path: Path) -> None:
    made = {kind.key: kind() for kind in KINDS}
    for seed, (name, frames) in enumerate({"a": 3, "b": 20}.items()):  # b is longer than what is in memory at a time
        true = clip(frames, seed=seed, size=SIZE)
        pred, (xy, sure) = noisy(true, 20, seed), person(frames)
        sure[0, FACE] = 0
        save(true, tmp_path / "true" / name)
        save(pred, tmp_path / "made" / name)
        content = {"keypoints": np.concatenate([xy, sure[..., None]], -1), "width": WIDTH, "height": HEIGHT}
        (tmp_path / "k").mkdir(exist_ok=True)
        np.savez(tmp_path / "k" / f"{name}.npz", **content, fps=25.0)
        for metric in made.values():
            metric.update(pred, true, xy, sure)
    result = evaluate_request(Request(tmp_path / "made", tmp_path / "true", tmp_path / "k", jobs=1))
    for key, metric in made.items():
        assert result.metrics[key] == pytest.approx(float(metric.compute()), rel=1e-9)
        assert result.signatures[key] == metric.signature
        low, high = result.intervals[key] or (1, 0)
        assert low <= result.metrics[key] <= high
    found = {name: result.counts[name] for name in ("faces", "faces_left_out", "mouths", "pairs_of_eyes", "hands")}
    assert found == {"faces": 21, "faces_left_out": 2, "mouths": 21, "pairs_of_eyes": 21, "hands": 23}
    assert result.counted("mouth_ssim") == "21 mouths"
