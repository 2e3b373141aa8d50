"""The judge of an augmentation: what it measures, what it leaves aside, and what it holds a failed copy against."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tiny_pipeline import FRAME, signing

from signgen.augmentation.clip import Maker
from signgen.augmentation.gate import STRIDE, Gate, certain_points, in_view, looked_at
from signgen.augmentation.jobs import Job
from signgen.augmentation.variation import Variation
from signgen.keypoints import write_keypoints
from signgen.keypoints.repair.missing import fill_missing
from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.video import VideoWriter

STILL = Variation().draw(1)  # changes nothing


class Eye:
    """A detector that finds the hands where the first pixel says how far aside they are."""

    signature, found_from = "eye", 0.5

    def __init__(self, clip, score: float = 1.0) -> None:
        self.clip, self.score, self.frames = clip, score, []

    def detect(self, frames, boxes):
        joints = np.full((len(frames), 2, 21, 3), np.nan, np.float32)
        for n, frame in enumerate(frames):
            at = int(frame[0, 0, 0])
            self.frames.append(at)
            for side, hand in enumerate((LEFT_HAND, RIGHT_HAND)):
                if np.isnan(boxes[n, side]).all():
                    continue
                joints[n, side, :, :2] = self.clip.xy[at, hand] + (float(frame[0, 0, 1]), 0)
                joints[n, side, :, 2] = self.score
        return joints


def pictures(count: int, aside: int):
    for number in range(0, count, STRIDE):
        frame = np.zeros((FRAME[1], FRAME[0], 3), np.uint8)
        frame[0, 0] = number, aside, 0
        yield frame


def test_the_gate_measures_every_fifth_frame_against_the_drawn_joints():
    clip = signing(83)
    for aside, passed in ((3, True), (9, False)):
        eye = Eye(clip)
        verdict = Gate(eye, limit=6.0).judge(pictures(83, aside), clip)
        assert eye.frames == list(range(0, 83, STRIDE))
        assert verdict["hand_pe_drive"] == pytest.approx(aside, abs=1e-3)
        assert verdict["passed"] is passed
    lost = Gate(Eye(clip, score=0.1), limit=6.0).judge(pictures(83, 0), clip)
    assert lost == {"hand_pe_drive": None, "hands_not_found": 1.0, "passed": False}
    unseen = replace(clip, confidence=np.where(np.arange(133) < 91, clip.confidence, 0.1).astype(np.float32))
    verdict = Gate(Eye(clip), limit=6.0).judge(pictures(83, 30), unseen)
    assert verdict["hand_pe_drive"] is None


def test_only_frames_that_are_looked_at_are_read(tmp_path):
    frames = [np.full((32, 32, 3), number * 8, np.uint8) for number in range(12)]
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(tmp_path / f"images{number:04d}.png")
    (tmp_path / "images0002.png").write_bytes(b"damaged")
    assert [int(frame[0, 0, 0]) for frame in looked_at(tmp_path)] == [0, 40, 80]
    with VideoWriter(tmp_path / "clip.mp4", (32, 32), 25) as writer:
        for frame in frames:
            writer.write(frame)
    assert [round(float(frame.mean()) / 8) for frame in looked_at(tmp_path / "clip.mp4")] == [0, 5, 10]


def moved_hands(clip, by: tuple[float, float]):
    xy = clip.xy.copy()
    xy[:, LEFT_HAND.start :] += by
    return replace(clip, xy=xy)


def test_hands_below_the_picture_are_nobodys_fault():
    clip = moved_hands(signing(20), (0, 500))
    verdict = Gate(Eye(clip, score=0.1), limit=6.0).judge(pictures(20, 0), clip)
    assert verdict == {"hand_pe_drive": None, "hands_not_found": None, "passed": True}
    clip = signing(2)
    low = clip.xy[:, LEFT_HAND, 1].max()
    for share, counts in ((0.3, True), (0.7, False)):  # of the joints below the picture's edge
        xy = clip.xy.copy()
        out = np.arange(21) < round(share * 21)
        xy[:, LEFT_HAND, 1] = np.where(out, low + 500, xy[:, LEFT_HAND, 1])
        seen = in_view(xy, clip.confidence, clip.size)
        assert not seen[:, LEFT_HAND][:, out].any()
        assert (seen[:, LEFT_HAND][:, ~out] > 0).all() == counts
        assert np.array_equal(seen[:, : LEFT_HAND.start], clip.confidence[:, : LEFT_HAND.start])


def test_a_failed_copy_is_held_against_its_source():
    gate = Gate(Eye(signing(1)), limit=6.0)
    failed = {"hand_pe_drive": 10.0, "hands_not_found": 0.2, "passed": False}
    for reference, passed in ((8.5, True), (7.5, False)):
        source = {"hand_pe_drive": reference, "hands_not_found": 0.0, "passed": False}
        verdict = gate.reconsider(failed, source)
        assert verdict == {**failed, "passed": passed, "source_hand_pe_drive": reference}
    lost = {**failed, "hands_not_found": 0.6}
    assert gate.reconsider(lost, source | {"hand_pe_drive": 9.0})["passed"] is False
    for unknown in (None, {"hand_pe_drive": None, "hands_not_found": None, "passed": True}):
        assert gate.reconsider(failed, unknown) == failed


def test_the_sources_own_frames_are_looked_at_in_a_video_too(tmp_path):
    clip, seen = signing(12), []
    write_keypoints(clip, tmp_path / "clip.npz")
    (tmp_path / "frames").mkdir()
    frames = [np.full((FRAME[1], FRAME[0], 3), 20 * number, np.uint8) for number in range(12)]
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(tmp_path / "frames" / f"images{number:04d}.png")
    for name, count in (("whole", 12), ("short", 11)):
        with VideoWriter(tmp_path / f"{name}.mp4", FRAME, 25) as writer:
            for frame in frames[:count]:
                writer.write(frame)
    gate = SimpleNamespace(judge=lambda shown, points: seen.append([float(x.mean()) for x in shown]) or len(points))
    maker = SimpleNamespace(recipe=SimpleNamespace(frame=FRAME))
    for place, judged in (("whole.mp4", 12), ("frames", 12), ("short.mp4", None), ("none", None)):
        job = Job("copy", "clip", "train", 1, "ann", tmp_path / "clip.npz", tmp_path / place)
        assert Maker._judge_source(maker, gate, job) == judged, place
    assert np.allclose(seen, [[0, 100, 200]] * 2, atol=3)


def test_guesses_for_lost_hands_are_not_what_the_clip_says():
    clip = signing(40)
    xy, confidence = clip.xy.copy(), clip.confidence.copy()
    xy[20:, RIGHT_HAND] = confidence[20:, RIGHT_HAND] = 0
    lost = replace(clip, xy=xy, confidence=confidence)
    whole, said = fill_missing(lost)
    assert said
    assert (whole.confidence[20:, RIGHT_HAND] > 0).any()
    for tempo, count in ((1.0, 40), (0.85, 47)):
        change = replace(STILL, tempo=tempo, mirrored=True, space=1.1, noise=0.004)
        certain = certain_points(lost, whole, change)
        assert certain.shape == (count, 133)
        assert certain[: count // 2 - 2, LEFT_HAND].all()  # mirrored: the right hand is now the left one
        assert not certain[count // 2 + 2 :, LEFT_HAND].any()
        assert certain[:, RIGHT_HAND].all()
