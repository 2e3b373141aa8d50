"""The hand-shape classifier, its labels and its training, on made-up hands; the shipped weights on drawn ones."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from signgen.dataset.cache import build_cache
from signgen.errors import InputError
from signgen.keypoints.skeleton import LEFT_HAND, MIRROR, RIGHT_HAND
from signgen.scoring.metrics.hand_detectors import search_boxes
from signgen.scoring.metrics.handshapes import (
    CROP,
    WEIGHTS,
    HandshapeClassifier,
    HandshapeNetwork,
    load_handshape_classifier,
    read_shape_labels,
    report,
    shape_names_in,
)
from signgen.synthetic.dataset import Plan, write_dataset

SIZE = (120, 140)
SHAPES = ("bar", "dot", "rare")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    folder = str(Path(__file__).resolve().parent.parent / "tools")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import train_handshape_classifier

    return train_handshape_classifier


def make_clip(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, keypoints (T,133,3) and labels (T,2): a left and a right hand that are an upright bar or a dot."""
    images = rng.integers(60, 90, (frames, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    points = np.zeros((frames, 133, 3), np.float32)
    labels = rng.integers(2, size=(frames, 2)).astype(np.int16)
    for frame, side in np.ndindex(frames, 2):
        x, y = 30 + 60 * (1 - side) + rng.integers(-5, 6), 70 + rng.integers(-20, 21)
        hand = (LEFT_HAND, RIGHT_HAND)[side]
        points[frame, hand, :2] = (x, y) + rng.uniform(-12, 12, (21, 2))
        points[frame, hand, 2] = 0.9
        wide, high = ((3, 12), (6, 6))[labels[frame, side]]
        images[frame, y - high : y + high, x - wide : x + wide] = 200
    return images, points, labels


def write_labels(path: Path, points: np.ndarray, labels: np.ndarray, names: tuple[str, ...] = SHAPES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path, keypoints=points, width=SIZE[0], height=SIZE[1], fps=25.0, hand_shapes=labels, shapes=np.array(names)
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frame cache of four clips with labels beside it."""
    folder, rng, clips = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0), []
    for number in range(4):
        images, points, labels = make_clip(rng, 12)
        write_labels(folder / "keypoints" / f"c{number}.npz", points, labels)
        clips.append((f"c{number}", "s01", iter(images), points))
    build_cache(clips, folder / "cache")
    return folder


@pytest.fixture(scope="module")
def trained(tool: ModuleType, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from signgen.dataset.cache import FrameCache

    torch.set_num_threads(1)
    samples = tool.LabelledHands(FrameCache.open(dataset / "cache"), dataset / "keypoints")
    assert samples.shapes == ("bar", "dot")  # nothing is labelled rare
    folder = tmp_path_factory.mktemp("weights")
    tool.save(tool.train(samples, 60, 16, 2e-3, 0), samples.shapes, folder)
    return folder


# ---- what it learns --------------------------------------------------------------------------------------------------


def test_it_learns_shapes_and_knows_them_in_other_frames(trained: Path) -> None:
    classifier = load_handshape_classifier(trained)
    images, points, labels = make_clip(np.random.default_rng(5), 30)
    belief = classifier.classify(images, search_boxes(points[..., :2], points[..., 2], *SIZE))
    assert belief.shape == (30, 2, 2)
    assert belief.sum(-1) == pytest.approx(1, abs=1e-5)
    assert (belief.argmax(-1) == labels).mean() > 0.9
    assert "2-shapes" in classifier.signature


def test_a_left_hand_is_a_right_hand_in_a_mirror(trained: Path) -> None:
    classifier = load_handshape_classifier(trained)
    images, points, _ = make_clip(np.random.default_rng(6), 5)
    mirrored = points[:, MIRROR] * [-1, 1, 1] + [SIZE[0] - 1, 0, 0]
    here = classifier.classify(images, search_boxes(points[..., :2], points[..., 2], *SIZE))
    there = classifier.classify(images[:, :, ::-1], search_boxes(mirrored[..., :2], mirrored[..., 2], *SIZE))
    assert there[:, ::-1] == pytest.approx(here, abs=1e-4)


def test_hands_that_are_not_looked_for_have_no_shape(trained: Path) -> None:
    classifier = load_handshape_classifier(trained)
    images, points, _ = make_clip(np.random.default_rng(7), 2)
    points[0, LEFT_HAND] = 0
    belief = classifier.classify(images / 255.0, search_boxes(points[..., :2], points[..., 2], *SIZE))
    assert np.isnan(belief[0, 0]).all()
    assert not np.isnan(belief[0, 1]).any()


def test_the_tool_measures_what_it_trained(
    tool: ModuleType, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    seen = []

    def measure(classifier: HandshapeClassifier, folder: Path, split: str, blur: float) -> dict[str, float]:
        seen.append((folder.name, split, blur))
        return {"accuracy": 0.5}

    monkeypatch.setattr(tool, "measure", measure)
    options = ["--held-out", f"new=test:{dataset}", "--steps", "2", "--batch", "4", "--out", str(tmp_path)]
    done = CliRunner().invoke(tool.main, [str(dataset), *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert [blur for *_, blur in seen] == [1, 2, 3]
    written = json.loads((tmp_path / "training.json").read_text())
    assert (written["trained"]["hands"], written["trained"]["shapes"]) == (96, 2)
    assert written["signature"] == load_handshape_classifier(tmp_path).signature


def test_rare_shapes_are_drawn_more_often_than_they_occur(tool: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images, points, labels = make_clip(rng, 60)
    labels[:] = 0
    labels[:20, 0] = 1  # 20 of 120
    write_labels(tmp_path / "keypoints" / "c.npz", points, labels)
    cache = build_cache([("c", "s01", iter(images), points)], tmp_path / "cache")
    samples = tool.LabelledHands(cache, tmp_path / "keypoints")
    _, what = samples.batch(400, rng)
    assert 0.22 < what.float().mean().item() < 0.4  # the roots of 100 and 20 stand 0.31 to 0.69


# ---- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_counted_in_other_names(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [2, -1]], np.int16)
    write_labels(tmp_path / "c.npz", np.zeros((2, 133, 3), np.float32), labels)
    assert shape_names_in(tmp_path / "c.npz") == list(SHAPES)
    assert read_shape_labels(tmp_path / "c.npz", SHAPES).tolist() == labels.tolist()
    assert read_shape_labels(tmp_path / "c.npz", ("dot", "bar")).tolist() == [[1, 0], [-1, -1]]


def test_bad_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "old.npz", keypoints=np.zeros((2, 133, 3)))
    write_labels(tmp_path / "beyond.npz", np.zeros((1, 133, 3)), np.array([[0, 3]], np.int16))
    (tmp_path / "text.npz").write_text("no archive")
    for name, words in (("old", "holds no hand shapes"), ("beyond", "3 shapes"), ("text", "cannot be read")):
        with pytest.raises(InputError, match=words):
            read_shape_labels(tmp_path / f"{name}.npz", SHAPES)
    with pytest.raises(InputError, match="cannot be read"):
        read_shape_labels(tmp_path / "absent.npz", SHAPES)


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_network_is_small_and_keeps_its_shape() -> None:
    network = HandshapeNetwork(60).eval()
    assert network(torch.rand(2, 3, CROP, CROP)).shape == (2, 60)
    assert sum(p.numel() for p in network.parameters()) * 2 < 1.5 * 2**20


def test_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        load_handshape_classifier(tmp_path)
    (tmp_path / "config.json").write_text('{"shapes": ["A", "B", "C"]}')
    save_file(HandshapeNetwork(2).state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="not the weights of this network"):
        load_handshape_classifier(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="not the weights of this network"):
        load_handshape_classifier(tmp_path)


def test_the_signature_names_the_weights(trained: Path) -> None:
    digest = hashlib.sha256((trained / "model.safetensors").read_bytes()).hexdigest()[:12]
    assert digest in load_handshape_classifier(trained).signature


# ---- the shipped weights ---------------------------------------------------------------------------------------------


def test_published_figures_are_those_of_the_shipped_weights() -> None:
    classifier, measured = load_handshape_classifier(), report()
    assert measured["signature"] == classifier.signature
    assert measured["parameters"] == sum(p.numel() for p in classifier.network.parameters())
    assert (WEIGHTS / "model.safetensors").stat().st_size <= 1.5 * 2**20
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256((WEIGHTS / "model.safetensors").read_bytes()).hexdigest()[:12] in card
    assert f"{len(classifier.shapes)} shapes" in card
    for kind in ("known", "new"):
        for figures in measured["held_out"][kind].values():
            assert f"{100 * figures['accuracy']:.1f} %" in card


def test_shipped_weights_tell_the_shapes_of_signers_whom_they_never_saw(tool: ModuleType, tmp_path: Path) -> None:
    plan = Plan(43, "test", ("h03", "h07"), frames=(24, 24), version=4)
    write_dataset(tmp_path, plan, 2)
    figures = tool.measure(load_handshape_classifier(), tmp_path, "test")
    assert figures["hands"] >= 30
    assert figures["accuracy"] >= 0.7
