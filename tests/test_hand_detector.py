"""The built-in hand detector on drawn hands of signers and sentences that its training did not see."""

from __future__ import annotations

import hashlib
import importlib
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from signgen.errors import InputError
from signgen.keypoints.skeleton import MIRROR
from signgen.model.networks.wrist_finder import peaks
from signgen.scoring.metrics.hand_detectors import HandDetector, found, load_hand_detector, report, search_boxes
from signgen.scoring.metrics.hand_detectors.builtin import CELLS, CROP, WEIGHTS, HandNetwork, SignGenHands
from signgen.scoring.metrics.hand_detectors.interface import Places
from signgen.scoring.metrics.hand_pe import HandPE, HandPEDrive
from signgen.synthetic.dataset import Plan, draw_clip, pick_signers

WIDTH, HEIGHT = 210, 260


@pytest.fixture(scope="module")
def clips() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Every third frame of two clips: frames, xy, confidence."""
    plan, drawn = Plan(41, "test", pick_signers("2", "test"), version=4), []
    for index in range(2):
        frames, points = zip(*islice(draw_clip(plan, index), 4, 34, 3), strict=True)
        keypoints = np.stack(points)
        drawn.append((np.stack(frames), keypoints[..., :2], keypoints[..., 2]))
    return drawn


@pytest.fixture(scope="module")
def accuracy() -> ModuleType:
    folder = str(Path(__file__).resolve().parent.parent / "tools")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("hand_accuracy")


@pytest.fixture(scope="module")
def everything(clips: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frames, xy, confidence = (np.concatenate(part) for part in zip(*clips, strict=True))
    return frames, xy, confidence


@pytest.fixture(scope="module")
def detector() -> SignGenHands:
    return load_hand_detector()


# ---- how good it is --------------------------------------------------------------------------------------------------


def test_it_finds_the_hands_of_drawn_frames(accuracy: ModuleType, clips: list, detector: SignGenHands) -> None:
    figures = accuracy.measure(detector, clips)
    assert figures["hands"] >= 20
    assert figures["share_found"] >= 0.95
    assert figures["mean_px"] < 2.5
    assert figures["median_px"] < 2.0
    assert accuracy.measure(detector, clips, blur=2)["mean_px"] < 3.0


def test_it_tells_a_hand_from_none(accuracy: ModuleType, everything: tuple, detector: SignGenHands) -> None:
    frames, xy, confidence = everything
    boxes = accuracy.boxes_without_hands(search_boxes(xy, confidence, WIDTH, HEIGHT), xy, confidence, (WIDTH, HEIGHT))
    elsewhere = ~np.isnan(boxes[..., 0])
    assert elsewhere.sum() >= 10
    assert found(detector.detect(frames, boxes), detector)[elsewhere].mean() < 0.1


def test_published_figures_are_those_of_the_shipped_weights(detector: SignGenHands) -> None:
    measured, file = report(), WEIGHTS / "model.safetensors"
    assert hashlib.sha256(file.read_bytes()).hexdigest()[:12] in detector.signature
    assert measured["signature"] == detector.signature
    assert measured["parameters"] == sum(p.numel() for p in detector.network.parameters()) <= 1_200_000
    assert file.stat().st_size <= 3 * 2**20
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    for kind in ("known", "new"):
        true = measured["held_out"][kind]["true"]
        assert set(true["mean_px_tips"]) == {"thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger"}
        for figure in (true["mean_px"], true["mean_l1_px"], measured["held_out"][kind]["blurred_3x"]["mean_px"]):
            assert f"{figure:.2f}" in card


# ---- what must hold whatever it has learned --------------------------------------------------------------------------


def test_points_move_with_the_picture_and_its_boxes(everything: tuple, detector: SignGenHands) -> None:
    frames, xy, confidence = (part[:6] for part in everything)
    boxes = search_boxes(xy, confidence, WIDTH, HEIGHT)
    padded = np.pad(frames, ((0, 0), (20, 20), (20, 20), (0, 0)), mode="edge")
    by = np.array([13.0, -7.0])
    shifted = padded[:, 27 : 27 + HEIGHT, 7 : 7 + WIDTH]
    inside = ((boxes > 15) & (boxes < 195)).all(-1)  # far enough from the border, where the picture ends otherwise
    assert inside.sum() >= 3
    there = detector.detect(shifted, boxes + np.tile(by, 2))[inside]
    here = detector.detect(frames, boxes)[inside]
    assert there[..., :2] == pytest.approx(here[..., :2] + by, abs=0.02)
    assert there[..., 2] == pytest.approx(here[..., 2], abs=0.01)


def test_points_follow_the_picture_within_a_box_that_stays(everything: tuple, detector: SignGenHands) -> None:
    """A generated hand is not quite where the box is."""
    frames, xy, confidence = everything
    boxes = search_boxes(xy, confidence, WIDTH, HEIGHT)
    here = detector.detect(frames, boxes)
    padded = np.pad(frames, ((0, 0), (8, 8), (8, 8), (0, 0)), mode="edge")
    there = detector.detect(padded[:, 12 : 12 + HEIGHT, 5 : 5 + WIDTH], boxes)  # 3 to the right, 4 up
    both = found(here, detector) & found(there, detector)
    step = (there - here)[both][..., :2]
    assert step.mean((0, 1)) == pytest.approx([3, -4], abs=0.6)
    assert np.median(np.abs(step - np.array([3, -4]))) < 0.7


def test_a_left_hand_is_a_right_hand_in_a_mirror(everything: tuple, detector: SignGenHands) -> None:
    frames, xy, confidence = (part[:6] for part in everything)
    mirrored_xy = xy[:, MIRROR] * [-1, 1] + [WIDTH - 1, 0]
    boxes = search_boxes(xy, confidence, WIDTH, HEIGHT)
    mirrored_boxes = search_boxes(mirrored_xy, confidence[:, MIRROR], WIDTH, HEIGHT)
    here = detector.detect(frames, boxes)
    there = detector.detect(frames[:, :, ::-1], mirrored_boxes)[:, ::-1]
    assert there[..., :2] * [-1, 1] + [WIDTH - 1, 0] == pytest.approx(here[..., :2], abs=0.05, nan_ok=True)
    assert np.isnan(here[..., 0]).all(-1).sum() == np.isnan(boxes[..., 0]).sum()


def test_batches_and_single_hands_agree(everything: tuple, detector: SignGenHands) -> None:
    frames, xy, confidence = (part[:4] for part in everything)
    boxes = search_boxes(xy, confidence, WIDTH, HEIGHT)
    alone = np.concatenate([detector.detect(frames[i : i + 1], boxes[i : i + 1]) for i in range(4)])
    assert alone == pytest.approx(detector.detect(frames, boxes), abs=1e-2, nan_ok=True)


# ---- the scores that rest on it --------------------------------------------------------------------------------------


def score(metric: HandPE, pred: np.ndarray, everything: tuple) -> float:
    metric.update(pred, *everything)
    return float(metric.compute())


def test_hand_pe_grows_with_displacement(everything: tuple, detector: SignGenHands) -> None:
    frames = everything[0]
    padded = np.pad(frames, ((0, 0), (0, 0), (12, 12), (0, 0)), mode="edge")
    steps = (0, 2, 4, 8)
    values = [score(HandPE(detector), padded[:, :, 12 - k : 12 - k + WIDTH], everything) for k in steps]
    assert values[0] == 0
    assert (np.diff(values) > 1).all()
    assert values[1:3] == pytest.approx([2, 4], rel=0.4)  # the rest is what the detector adds


def test_hand_pe_grows_with_blur_and_noise(accuracy: ModuleType, everything: tuple, detector: SignGenHands) -> None:
    frames = everything[0]
    blurs = [score(HandPE(detector), accuracy.blurred(frames, factor), everything) for factor in (2, 4, 8)]
    assert (np.diff(blurs) > 0).all()
    grain = np.random.default_rng(0).normal(size=frames.shape)
    noisy = [np.clip(frames + level * grain, 0, 255).astype(np.uint8) for level in (4, 16, 48)]
    assert (np.diff([score(HandPE(detector), pred, everything) for pred in noisy]) > 0).all()


def test_drive_on_true_frames_is_the_detectors_own_error(
    accuracy: ModuleType, everything: tuple, clips: list, detector: SignGenHands
) -> None:
    metric = HandPEDrive(detector)
    metric.update(*everything)
    assert float(metric.compute()) == pytest.approx(accuracy.measure(detector, clips)["mean_l1_px"], rel=0.1)
    assert detector.signature in metric.signature


# ---- its parts -------------------------------------------------------------------------------------------------------


def test_places_cut_and_map_there_and_back() -> None:
    frames = torch.zeros(1, 3, 60, 80)
    frames[0, :, 31, 47] = 1
    for angle, mirrored in ((0.0, False), (0.4, True), (-0.9, False)):
        place = Places(
            torch.tensor([[45.0, 30.0]]), torch.tensor([32.0]), torch.tensor([angle]), torch.tensor([mirrored])
        )
        dot = torch.tensor([[[47.0, 31.0]]])
        share = place.to_crop(dot)
        assert place.to_frame(share).numpy() == pytest.approx(dot.numpy(), abs=1e-4)
        light = place.cut(frames, 32)[0, 0]
        y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
        centre = torch.stack([(light * x).sum(), (light * y).sum()]) / light.sum()
        assert ((centre + 0.5) / 32).numpy() == pytest.approx(share[0, 0].numpy(), abs=0.01)


def test_network_is_small_and_keeps_its_shape_and_peaks_are_sharp() -> None:
    network = HandNetwork().eval()
    logits = network(torch.rand(2, 3, CROP, CROP))
    assert logits.shape == (2, 21, CELLS, CELLS)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    cells, belief = peaks(-((x - 11.3) ** 2 + (y - 20.6) ** 2)[None, None])
    assert cells[0, 0].tolist() == pytest.approx([11.3, 20.6], abs=0.05)
    assert belief.item() > 0.99
    assert peaks(torch.zeros(1, 1, 32, 32))[1].item() == pytest.approx(9 / 1024)  # the corner of a flat map


def test_weights_are_named_by_their_folder_or_their_file(detector: SignGenHands) -> None:
    for given in (WEIGHTS, WEIGHTS / "model.safetensors"):
        assert load_hand_detector("signgen", given).signature == detector.signature


def test_bad_input(tmp_path, everything: tuple, detector: SignGenHands) -> None:
    assert isinstance(detector, HandDetector)
    with pytest.raises(InputError, match="not found"):
        load_hand_detector("signgen", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="not the weights of this network"):
        load_hand_detector("signgen", tmp_path)
    frames = everything[0][:1]
    for boxes, words in (
        (np.zeros((1, 4)), "shape"),
        (np.zeros((1, 2, 4)), "without extent"),
        (np.full((1, 2, 4), [0, 0, np.nan, 5]), "without extent"),
        (np.full((1, 2, 4), [0, 0, np.inf, 5]), "without extent"),
    ):
        with pytest.raises(InputError, match=words):
            detector.detect(frames, boxes)
    with pytest.raises(InputError, match="uint8"):
        detector.detect(frames.astype(np.int64), np.full((1, 2, 4), np.nan))
