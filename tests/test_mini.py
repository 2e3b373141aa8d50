"""The embedded model: small enough, loadable, and it does what the keypoints say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from signgen.errors import InputError
from signgen.keypoints import Keypoints
from signgen.model import SignGenPipeline
from signgen.rendering import render
from signgen.rendering.source import Source, builtin_names, load_source
from signgen.scoring.metrics import HandSSIM

MINI = Path(__file__).resolve().parent.parent / "signgen" / "weights" / "mini"
EXAMPLE = Path(__file__).resolve().parent.parent / "signgen" / "assets" / "examples" / "weather.pose"


def test_weights_are_small_safe_and_described() -> None:
    files = list(MINI.rglob("*.safetensors"))
    assert files
    assert sum(path.stat().st_size for path in files) <= 36 * 2**20
    assert not [path for path in MINI.rglob("*") if path.suffix in (".bin", ".pt", ".pkl", ".ckpt")]
    card = (MINI / "README.md").read_text(encoding="utf-8")
    for word in ("steps", "frames", "Hand SSIM", "licence", "generated"):
        assert word.lower() in card.lower()
    assert len(json.loads((MINI / "training.json").read_text(encoding="utf-8"))) >= 3


def test_every_built_in_signer_loads_with_keypoints() -> None:
    assert len(builtin_names()) >= 4
    for name in builtin_names():
        source = load_source(name)
        assert source.size == (210, 260)
        assert source.keypoints is not None
        assert (source.keypoints.confidence[0, [5, 6, 9, 10]] > 0.3).all()


def test_the_first_built_in_signer_is_the_default() -> None:
    assert load_source(None).name == builtin_names()[0]
    with pytest.raises(InputError, match=builtin_names()[0]):
        load_source("nobody")


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, Keypoints]:
    """Ten frames, a second apart from the source, of a drawn clip that training has not seen."""
    from signgen.synthetic.dataset import Plan, draw_clip

    plan = Plan(seed=99, split="dev", signers=("s05",), version=4)
    drawn = list(draw_clip(plan, 0))
    images, points = np.stack([image for image, _ in drawn]), np.stack([p for _, p in drawn])
    keypoints, _ = Keypoints.clean(points[..., :2], points[..., 2], 210, 260, 25.0, "clip")
    return images, keypoints


def test_hands_follow_the_keypoints(clip: tuple[np.ndarray, Keypoints], tmp_path: Path) -> None:
    from signgen.video import read_frames

    images, keypoints = clip
    source = Source(images[0], keypoints[0:1], "drawn", "image")
    render(keypoints, source=source, model="mini", output=tmp_path / "out")
    generated = np.stack(list(read_frames(tmp_path / "out")))
    assert generated.shape == images.shape
    model, copy = HandSSIM(), HandSSIM()
    for metric, frames in ((model, generated), (copy, np.repeat(images[:1], len(images), 0))):
        metric.update(frames[20:], images[20:], keypoints.xy[20:], keypoints.confidence[20:])
    assert float(model.compute()) > float(copy.compute()) + 0.1


def test_the_example_is_a_sentence_that_mini_renders(tmp_path: Path) -> None:
    result = render(EXAMPLE, output=tmp_path / "out.mp4", frames=slice(0, 12))
    assert (result.width, result.height, result.fps, result.frames) == (210, 260, 25, 12)


def test_mini_is_the_default_model() -> None:
    assert SignGenPipeline.from_pretrained().frame_size == SignGenPipeline.from_pretrained("mini").frame_size
