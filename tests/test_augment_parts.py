"""The parts of an augmentation that need no model: changes of keypoints, jobs, the manifest, the judge, pickles."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_pipeline import picture, signing

from signgen.augmentation.jobs import (
    Rate,
    choose_signer,
    describe,
    frames_of,
    of_phoenix,
    plain_name,
    plan_jobs,
    share_of,
)
from signgen.augmentation.layouts.slrt import dump_dict, dump_list
from signgen.augmentation.run import Task, written_again
from signgen.augmentation.settings import Settings
from signgen.augmentation.store import count_made, open_part, part_path, read_records
from signgen.augmentation.variation import Variation
from signgen.dataset.phoenix import RELEASE_COUNTS, Clip
from signgen.errors import BadValue, InputError
from signgen.keypoints import write_keypoints
from signgen.keypoints.skeleton import FACE, LEFT_HAND, LEFT_WRIST, MIRROR, RIGHT_HAND, RIGHT_WRIST
from signgen.rendering.source import Source

STILL = Variation().draw(1)  # changes nothing


# --- changes --------------------------------------------------------------------------------------------------
def test_nothing_asked_for_changes_nothing():
    clip = signing(6)
    assert STILL.moved(clip) == clip
    source = Source(picture(), signing(1), "ann", "image")
    assert STILL.framed(source) is source


def test_mirrored_handedness_exchanges_every_left_and_right_landmark():
    clip = signing(5)
    confidence = np.tile(np.linspace(0.1, 0.9, 133, dtype=np.float32), (5, 1))  # each landmark its own
    clip = replace(clip, confidence=confidence)
    mirrored = replace(STILL, mirrored=True).moved(clip)
    assert np.array_equal(mirrored.confidence, confidence[:, MIRROR])
    assert np.allclose(mirrored.xy[..., 0], clip.width - 1 - clip.xy[:, MIRROR, 0], atol=1e-4)
    assert np.array_equal(mirrored.xy[..., 1], clip.xy[:, MIRROR, 1])
    left, right = mirrored.xy[:, LEFT_HAND, 0], clip.xy[:, RIGHT_HAND, 0]
    assert np.allclose(left + right, clip.width - 1, atol=1e-4)
    shares = [Variation(mirror=0.3).draw(seed).mirrored for seed in range(400)]
    assert 0.22 < np.mean(shares) < 0.38
    assert not any(Variation.parse(["all"]).draw(seed).mirrored for seed in range(50))  # only on request


def test_tempo_changes_length_and_not_the_rate():
    clip = signing(100)
    fast, slow = (replace(STILL, tempo=tempo).moved(clip) for tempo in (1.15, 0.85))
    assert (len(fast), len(slow)) == (87, 118)
    assert fast.fps == slow.fps == clip.fps
    at = round(40 * 1.15)
    assert np.abs(fast.xy[40] - clip.xy[at]).max() < 0.1


def test_signing_space_moves_hands_and_leaves_their_shape_head_and_shoulders():
    clip = signing(8)
    wide = replace(STILL, space=1.1).moved(clip)
    middle = clip.xy[:, [5, 6]].mean(1)
    for wrist, hand in ((LEFT_WRIST, LEFT_HAND), (RIGHT_WRIST, RIGHT_HAND)):
        root = hand.start
        assert np.allclose(wide.xy[:, root] - middle, 1.1 * (clip.xy[:, root] - middle), atol=1e-3)
        fingers = (clip.xy[:, hand] - clip.xy[:, root, None], wide.xy[:, hand] - wide.xy[:, root, None])
        assert np.allclose(*fingers, atol=1e-3)
        moved = wide.xy[:, wrist] - clip.xy[:, wrist]
        assert np.allclose(moved, 0.1 * (clip.xy[:, root] - middle), atol=1e-3)
    still = [0, 1, 2, 3, 4, 5, 6, *range(FACE.start, FACE.stop)]
    assert np.array_equal(wide.xy[:, still], clip.xy[:, still])
    turned = replace(STILL, tilt=4.0).moved(clip)
    before, after = (x.xy[:, LEFT_HAND.start] - middle for x in (clip, turned))
    cosine = (before * after).sum(-1) / (np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1))
    assert np.allclose(np.degrees(np.arccos(np.clip(cosine, -1, 1))), 4.0, atol=0.05)


def test_noise_of_a_frame_depends_on_seed_and_frame_alone():
    long, short = signing(12), signing(12)[:6]
    noisy = replace(STILL, noise=0.01, seed=5)
    errors = noisy.moved(long).xy - long.xy
    assert np.allclose(errors[:6], noisy.moved(short).xy - short.xy, atol=1e-5)
    assert not np.array_equal(errors, replace(noisy, seed=6).moved(long).xy - long.xy)
    assert not errors[:, FACE].any()
    shoulders = np.linalg.norm(long.xy[0, 5] - long.xy[0, 6])
    hands = errors[:, LEFT_HAND.start :]
    assert 0.007 < hands.std() / shoulders < 0.013
    missing = replace(long, confidence=np.where(np.arange(133) == 100, 0, long.confidence).astype(np.float32))
    assert not noisy.moved(missing).xy[:, 100].any()


def test_framing_moves_picture_and_person_together():
    image = np.zeros((52, 42, 3), np.uint8)
    image[30:34, 20:24] = 255
    person = signing(1)
    xy = person.xy.copy()
    xy[0, 9] = (21.5, 31.5)  # a wrist in the middle of the white square
    source = Source(image, replace(person, xy=xy), "ann", "image")
    framed = replace(STILL, zoom=1.08, shift=(0.08, -0.06)).framed(source)
    assert framed.size == source.size
    rows, columns = np.nonzero(framed.image[..., 0] > 127)
    assert framed.keypoints is not None
    assert np.allclose(framed.keypoints.xy[0, 9], (columns.mean(), rows.mean()), atol=0.6)
    assert not np.allclose(framed.keypoints.xy[0, 9], xy[0, 9], atol=1)


def test_later_words_of_variation_win():
    assert Variation.parse(["all", "none"]) == Variation.parse([]) == Variation()
    assert Variation.parse(["none", "tempo=0.1"]) == Variation(tempo=0.1)


def test_each_quantity_has_its_own_draw():
    everything, some = Variation.parse(["all"]).draw(9), Variation.parse(["all", "tilt=0"]).draw(9)
    assert replace(everything, tilt=0.0) == replace(some, tilt=0.0)
    tempos = [Variation.parse(["tempo"]).draw(seed).tempo for seed in range(300)]
    assert 0.85 <= min(tempos) < 0.87
    assert 1.13 < max(tempos) <= 1.15


# --- jobs -----------------------------------------------------------------------------------------------------
class Index:
    """As much of a data set as planning asks for."""

    splits, release = ("train",), Path("set")

    def __init__(self, *names: str) -> None:
        self._clips = tuple(Clip(name, "train", "ann", (), "", Path(name), None) for name in names)

    def clips(self, split: str) -> tuple[Clip, ...]:
        return self._clips


def test_names_go_on_after_the_copies_that_are_there():
    jobs = plan_jobs(Index("a", "a__aug01", "b"), ["train"], ["x"], 2, 0)
    assert [job.name for job in jobs] == ["a__aug02", "b__aug01", "a__aug03", "b__aug02"]
    assert len({job.seed(0) for job in jobs}) == 4
    assert jobs[0].seed(0) != jobs[0].seed(1)
    assert all(0 <= job.seed(3) < 2**63 for job in jobs)


def test_copies_of_a_set_that_has_copies_are_others():
    first = plan_jobs(Index("a"), ["train"], ["x", "y"], 2, 0)
    again = plan_jobs(Index("a", "a__aug01"), ["train"], ["x", "y"], 2, 0)
    assert [job.copy for job in again] == [2, 3]
    assert again[0] == first[1]  # as if both had been asked for at once
    assert len({job.seed(0) for job in (first[0], *again)}) == 3


def test_a_clip_does_not_depend_on_the_others():
    some, all_ = (plan_jobs(Index(*names), ["train"], ["x", "y"], 2, 7) for names in (["b"], ["a", "b", "c"]))
    assert [job for job in all_ if job.source == "b"] == some
    assert [job.seed(7) for job in all_ if job.source == "b"] == [job.seed(7) for job in some]


def test_signers_take_turns_and_nobody_copies_herself():
    clip = Clip("a", "train", "ann", (), "", Path("a"), None)
    chosen = [choose_signer(clip, copy, ["ann", "x", "y"], 0) for copy in (1, 2, 3, 4)]
    assert "ann" not in chosen
    assert chosen[0] != chosen[1]
    assert chosen[:2] == chosen[2:]
    assert choose_signer(clip, 1, ["ann"], 0) == "ann"


def test_shares_are_the_whole():
    jobs = plan_jobs(Index(*"abcdefg"), ["train"], ["x"], 3, 0)
    shares = [share_of(jobs, number, 4) for number in (1, 2, 3, 4)]
    assert sorted(job.name for share in shares for job in share) == sorted(job.name for job in jobs)
    assert {len(share) for share in shares} == {5, 6}


def test_plain_names_that_meet_are_refused():
    assert plain_name('a b,"c') == "a_b__c"
    with pytest.raises(InputError, match="would be made twice"):
        plan_jobs(Index("a b", "a,b"), ["train"], ["x"], 1, 0, plain=True)


# --- manifest -------------------------------------------------------------------------------------------------
def test_a_torn_line_is_cut_off_and_others_stay(tmp_path):
    with open_part(tmp_path) as part:
        part.append({"clip": "Ä", "state": "done", "frames": 3})
    path = part_path(tmp_path, 1, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"clip": "b", "state": "do')
    assert list(read_records(tmp_path)) == ["Ä"]
    with open_part(tmp_path) as part:
        part.append({"clip": "b", "state": "done", "frames": 4})
    assert [json.loads(line)["clip"] for line in path.read_text(encoding="utf-8").splitlines()] == ["Ä", "b"]
    path.write_bytes(b"torn")
    with open_part(tmp_path):
        assert path.read_bytes() == b""


def test_a_share_is_one_process_at_a_time(tmp_path):
    with open_part(tmp_path, 1, 2):
        with pytest.raises(InputError, match="another process is at work"), open_part(tmp_path, 1, 2):
            pass
        with open_part(tmp_path, 2, 2) as other:
            other.append({"clip": "a", "state": "done"})
    assert list(read_records(tmp_path)) == ["a"]


def test_a_clip_made_twice_must_be_the_same(tmp_path):
    for number, seconds in ((1, 2.0), (2, 3.0)):
        with open_part(tmp_path, number, 2) as part:
            part.append({"clip": "a", "state": "done", "sha256": "x", "seconds": seconds})
    assert len(read_records(tmp_path)) == 1
    with open_part(tmp_path, 2, 2) as part:
        part.append({"clip": "a", "state": "done", "sha256": "y", "seconds": 1.0})
    with pytest.raises(InputError, match="makes a a second time, differently"):
        read_records(tmp_path)


def test_a_clip_that_is_done_was_not_left_out(tmp_path):
    lost = {"clip": "a", "state": "left_out", "reason": "has no keypoints"}
    done = {"clip": "a", "state": "done", "sha256": "x", "seconds": 2.0}
    with open_part(tmp_path, 1, 2) as part:
        for record in (lost, {**lost, "reason": "shows nobody"}):
            part.append(record)
            assert read_records(tmp_path) == {"a": record}
        part.append(done)
        part.append({"clip": "b", "state": "left_out", "reason": "shows nobody"})
        assert read_records(tmp_path)["a"] == done
        assert count_made(tmp_path) == 1
        part.arrange(["b", "a"])
    assert [json.loads(line)["clip"] for line in part.path.read_text().splitlines()] == ["b", "a"]
    with open_part(tmp_path, 2, 2) as part:  # an older share's line, wherever it is read
        part.append(lost)
    assert read_records(tmp_path)["a"] == done


def test_a_damaged_line_is_named(tmp_path):
    path = part_path(tmp_path, 1, 1)
    path.parent.mkdir()
    path.write_text('{"clip": "a", "state": "done"}\nnonsense\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 2 is damaged"):
        read_records(tmp_path)


# --- files and figures ----------------------------------------------------------------------------------------
def test_pickles_written_piece_by_piece_are_ordinary_ones():
    shared = ["the same list"]
    values = {f"clip-{n}": {"points": np.arange(n * 3.0).reshape(n, 3), "a": shared, "b": shared} for n in range(300)}
    buffer = io.BytesIO()
    dump_dict(values.items(), buffer)
    again = pickle.loads(buffer.getvalue())
    assert list(again) == list(values)
    assert all(np.array_equal(again[key]["points"], values[key]["points"]) for key in values)
    assert again["clip-7"]["a"] == shared
    buffer = io.BytesIO()
    dump_list(iter(values), buffer)
    assert pickle.loads(buffer.getvalue()) == list(values)
    empty = io.BytesIO()
    dump_list([], empty)
    assert pickle.loads(empty.getvalue()) == []


def test_frames_of_a_clip_without_pictures_are_its_keypoints(tmp_path):
    points = tmp_path / "a.npz"
    write_keypoints(signing(7), points)
    clip = Clip("a", "train", "ann", (), "", tmp_path / "frames", points)
    assert frames_of(clip) == 7
    assert frames_of(replace(clip, keypoints=None)) == 0
    points.write_bytes(b"nonsense")
    assert frames_of(clip) == 0
    (tmp_path / "frames").mkdir()
    for number in (1, 2):
        (tmp_path / "frames" / f"images{number:04d}.png").write_bytes(b"")
    assert frames_of(clip) == 2


def test_a_plan_divides_hours_by_workers():
    rate = Rate.of([{"frames": 10, "seconds": 1.0, "bytes": 1000}, {"frames": 30, "seconds": 3.0, "bytes": 3000}])
    assert rate == Rate(0.1, 100.0)
    plan = rate.plan(clips=2, frames=72_000)
    assert plan == {"clips": 2, "frames": 72_000, "bytes": 7_200_000, "hours": {"1": 2.0, "8": 0.25, "64": 0.03125}}
    assert Rate.of([]) is None
    assert describe("x", plan).endswith("2.0 h on 1 worker, 15.0 min on 8 workers, 1.9 min on 64 workers")
    assert describe("x", rate.plan(1, 100)).endswith("10 s on 1 worker, 1 s on 8 workers, 0 s on 64 workers")


def test_a_plan_counts_archives_and_copied_originals():
    rate = Rate(0.1, 100.0)
    new, old = RELEASE_COUNTS["train"][1], sum(frames for _, frames in RELEASE_COUNTS.values())
    for layouts, task, frames in (
        (("phoenix14t",), {}, new),
        (("slrt",), {}, 2 * new + old),
        (("slrt",), {"originals": "none"}, 2 * new),
        (("slrt",), {"originals": "copy"}, 2 * new + old),
        (("phoenix14t",), {"originals": "copy"}, new + old),
        (("phoenix14t", "slrt"), {"originals": "copy", "share": (1, 2)}, new),
    ):
        again = written_again(Task("set", Path("out"), Settings(("alma",), layouts=layouts), **task))
        plan = of_phoenix(rate, ["train"], 1, again)
        assert (plan["frames"], plan["bytes"]) == (new, 100 * frames)


@pytest.mark.parametrize(("option", "settings"), [("--layout", {"layouts": ("nla",)}), ("--media", {"media": "gif"})])
def test_unknown_layouts_and_media_are_refused(option: str, settings: dict) -> None:
    with pytest.raises(BadValue) as caught:
        Settings(("alma",), **settings)
    assert caught.value.subject == option
