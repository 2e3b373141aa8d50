"""`--smooth auto`: hands at rest do not tremble, fast ones stay; causal, in blocks, with holes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from keypoint_maker import signer

from signgen.cli import main
from signgen.errors import BadValue
from signgen.keypoints import Keypoints, filters, rows, write_keypoints
from signgen.keypoints.filters import SPEED_CUT, STEADINESS, OneEuro
from signgen.keypoints.skeleton import LEFT_ELBOW, RIGHT_HAND
from signgen.rendering import driving
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import load_source


def signing(frames: int = 200, fps: float = 25.0, noise: float = 0.8, seed: int = 3) -> tuple[Keypoints, Keypoints]:
    """The right hand rests for a second, goes 120 pixels up and down in a third of a second each, and so on; exact
    and trembling."""
    still = signer(1)
    clip = Keypoints(np.repeat(still.xy, frames, 0), np.repeat(still.confidence, frames, 0), 210, 260, fps, "drawn")
    t = np.arange(frames) / fps
    s = np.clip((t % 1.4 - 1) / 0.4, 0, 1)
    lift = np.where((t // 1.4) % 2 == 0, 1, 0) + np.where((t // 1.4) % 2 == 0, -1, 1) * s**3 * (10 - 15 * s + 6 * s**2)
    xy = clip.xy.copy()
    xy[:, [10, *range(RIGHT_HAND.start, RIGHT_HAND.stop)], 1] -= 120 * lift[:, None].astype(np.float32)
    clip = replace(clip, xy=xy)
    trembling = xy + np.random.default_rng(seed).normal(0, noise, xy.shape) * (clip.confidence > 0)[..., None]
    return clip, replace(clip, xy=trembling)


def speeds(clip: Keypoints) -> np.ndarray:
    return np.linalg.norm(np.diff(clip.xy[:, RIGHT_HAND].mean(1).astype(np.float64), axis=0), axis=-1)


def jerk(clip: Keypoints, frames: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(clip.xy[:, RIGHT_HAND], 3, axis=0), axis=-1)[frames].mean())


@pytest.mark.parametrize(("fps", "noise"), [(25.0, 0.4), (25.0, 1.0), (50.0, 0.8)])
def test_fast_hands_keep_their_speed_and_resting_ones_lose_half_of_their_jerk(fps: float, noise: float) -> None:
    exact, trembling = signing(round(8 * fps), fps, noise)
    smooth = trembling.smooth("auto")
    assert speeds(smooth).max() == pytest.approx(speeds(trembling).max(), rel=0.01)
    assert speeds(exact.smooth("auto")).max() == pytest.approx(speeds(exact).max(), rel=0.01)
    rest = np.array([not speeds(exact)[t : t + 3].any() for t in range(len(exact) - 3)])
    assert rest.sum() > 50
    assert jerk(smooth, rest) < 0.5 * jerk(trembling, rest)
    low = trembling.smooth(2.0)  # a low pass costs much of the speed: signs lose their ends
    assert speeds(low).max() < 0.9 * speeds(exact).max()


def test_it_hardly_comes_late() -> None:
    exact, _ = signing()
    way = np.gradient(exact.xy[:, RIGHT_HAND].mean(1), axis=0)
    behind = (exact.xy - exact.smooth("auto").xy)[:, RIGHT_HAND].mean(1)
    assert 0 < (behind * way).sum() / (way**2).sum() < 0.05  # frames


def test_it_is_the_filter_of_casiez_roussel_and_vogel() -> None:
    """An elbow alone, whose part is itself, against their algorithm written with numbers."""
    _, clip = signing(40)
    part = next(part for part in STEADINESS if part.joints == (LEFT_ELBOW,))
    width, fps = 88.0, 25.0

    def alpha(cut: float) -> float:
        tau, period = 1 / (2 * math.pi * cut), 1 / fps
        return 1 / (1 + tau / period)

    kept = before = [float(value) for value in clip.xy[0, LEFT_ELBOW]]
    speed, expected = [0.0, 0.0], [kept]
    for t in range(1, 40):
        now = [float(value) for value in clip.xy[t, LEFT_ELBOW]]
        rate = [(a - b) * fps / width for a, b in zip(now, before, strict=True)]
        speed = [old + alpha(SPEED_CUT) * (new - old) for old, new in zip(speed, rate, strict=True)]
        share = alpha(part.low + part.gain * math.hypot(*speed))
        kept = [old + share * (new - old) for old, new in zip(kept, now, strict=True)]
        before = now
        expected.append(kept)
    found = OneEuro(fps, width).smooth(clip.xy, clip.confidence)
    assert np.allclose(found[:, LEFT_ELBOW], expected, atol=1e-4)


def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    _, clip = signing(150)
    confidence = clip.confidence.copy()
    confidence[40:47, RIGHT_HAND] = 0
    clip = replace(clip, confidence=confidence)
    whole = clip.smooth("auto")
    for size in (1, 7, 64):
        monkeypatch.setattr(
            Keypoints, "blocks", lambda self, size=size: (self[p] for p in rows.blocks(len(self), size))
        )
        assert np.array_equal(clip.smooth("auto").xy, whole.xy)
    monkeypatch.setattr(rows, "IN_MEMORY", 32)
    mapped = clip.smooth("auto")
    assert np.array_equal(mapped.xy, whole.xy)


def test_a_long_clip_of_a_render_is_smoothed_as_a_short_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, clip = signing(120)
    write_keypoints(clip, tmp_path / "a.npz")
    settings, source = RenderSettings(smooth="auto", fill_hands=False), load_source("alma")
    short = driving.read_driving(tmp_path / "a.npz", source, settings).clip
    monkeypatch.setattr(driving, "LONGEST_WHOLE", 50)
    monkeypatch.setattr("signgen.keypoints.pieces._PIECE", 32)
    monkeypatch.setattr("signgen.keypoints.pieces._MARGIN", 4)
    long = driving.read_driving(tmp_path / "a.npz", source, settings).clip
    assert not isinstance(long, Keypoints)
    assert np.array_equal(long[0:120].xy, short[0:120].xy)
    assert np.array_equal(short[0:120].xy, clip.smooth("auto").xy)


def test_it_is_causal() -> None:
    _, clip = signing(100)
    xy = clip.xy.copy()
    xy[60:, RIGHT_HAND] += 40
    assert np.array_equal(replace(clip, xy=xy).smooth("auto").xy[:60], clip.smooth("auto").xy[:60])


def test_after_a_hole_it_starts_anew() -> None:
    _, clip = signing(60)
    xy, confidence = clip.xy.copy(), clip.confidence.copy()
    confidence[20:25, RIGHT_HAND] = 0
    xy[25:, RIGHT_HAND] += (30, 0)
    clip = replace(clip, xy=xy, confidence=confidence)
    smooth = clip.smooth("auto")
    assert np.array_equal(smooth.confidence, clip.confidence)
    assert not smooth.xy[20:25, RIGHT_HAND].any()
    assert np.array_equal(smooth.xy[25, RIGHT_HAND], clip.xy[25, RIGHT_HAND])
    alone = OneEuro(25.0, 88.0).smooth(clip.xy[25:], np.where(np.arange(133) >= 112, clip.confidence[25:], 0))
    after = OneEuro(25.0, 88.0).smooth(clip.xy, np.where(np.arange(133) >= 112, clip.confidence, 0))[25:]
    assert np.array_equal(alone[:, RIGHT_HAND], after[:, RIGHT_HAND])


def test_a_larger_picture_is_smoothed_alike() -> None:
    _, clip = signing(60)
    large = clip.scaled(4, 4).with_size(840, 1040)
    assert np.allclose(large.smooth("auto").xy, 4 * clip.smooth("auto").xy, atol=2e-3)


def test_every_point_has_one_steadiness() -> None:
    joints = [joint for part in filters.STEADINESS for joint in part.joints]
    assert sorted(joints) == list(range(133))


@pytest.mark.parametrize("value", ["fast", "", "5", -1, 0, float("nan")])
def test_other_words_and_numbers_are_refused(value: object) -> None:
    with pytest.raises(BadValue):
        signer(4).smooth(value)  # type: ignore[arg-type]


def test_the_command_takes_auto_and_no_other_word(tmp_path: Path) -> None:
    write_keypoints(signer(4), tmp_path / "a.npz")
    done = CliRunner().invoke(main, ["render", str(tmp_path / "a.npz"), "--smooth", "fast"])
    assert done.exit_code == 2
    assert done.stderr == "error: --smooth: got 'fast'; give a cut-off in Hz, such as 8, or the word auto\n"
    with pytest.raises(BadValue) as caught:
        RenderSettings(smooth="fast")
    assert caught.value.subject == "--smooth"
    assert RenderSettings(smooth="auto").smooth == "auto"
