"""Several pictures of the person, chosen frames of a video, and given frames: from files to the manifest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import save_pipeline, weather

from signgen.cli import main
from signgen.errors import BadValue, InputError, Mismatch, Missing
from signgen.keypoints import Keypoints, write_keypoints
from signgen.keypoints.orientation import View
from signgen.keypoints.skeleton import FACE, LEFT_HAND, RIGHT_HAND
from signgen.rendering.several import MOST_SOURCES, choose_frames, load_given, load_sources
from signgen.rendering.source import load_source
from signgen.video import VideoWriter, read_frames

SIZE = (210, 260)


def poses(count: int) -> Keypoints:
    """Somebody who stands still."""
    one = load_source("bela").keypoints
    assert one is not None
    return Keypoints(np.repeat(one.xy, count, 0), np.repeat(one.confidence, count, 0), *SIZE, 25.0, "still")


def changed(clip: Keypoints, frame: int, part: slice, change: object) -> None:
    clip.xy.setflags(write=True)
    middle = clip.xy[frame, part].mean(0)
    clip.xy[frame, part] = (clip.xy[frame, part] - middle) @ np.array(change, np.float32) + middle


def test_the_frame_that_shows_most_comes_first_and_then_what_is_least_like_it() -> None:
    clip = poses(12)
    clip.confidence.setflags(write=True)
    for frame in range(12):
        if frame != 7:
            clip.confidence[frame, LEFT_HAND] = 0.1  # a hand is hidden everywhere but in frame 7
    assert choose_frames(clip, 1) == [7]
    clip = poses(12)
    changed(clip, 4, RIGHT_HAND, [[0, 1], [-1, 0]])  # turned by a quarter
    changed(clip, 9, LEFT_HAND, [[0.3, 0], [0, 0.3]])  # as small as a fist that points here, the same in itself
    changed(clip, 9, slice(LEFT_HAND.start + 5, LEFT_HAND.stop), [[-1, 0], [0, 1]])
    first, *others = choose_frames(clip, 3)
    assert first not in (4, 9)
    assert sorted(others) == [4, 9]
    clip = poses(12)
    clip.confidence.setflags(write=True)
    clip.confidence[2, FACE] = 0
    clip.confidence[2, LEFT_HAND] = clip.confidence[2, RIGHT_HAND] = 0
    assert 2 not in choose_frames(clip, 11), "however different, it shows too little"


def test_of_a_video_the_chosen_frames_are_taken_with_their_keypoints(tmp_path: Path) -> None:
    clip, path = poses(6), tmp_path / "talk.webm"
    changed(clip, 3, RIGHT_HAND, [[0, 1], [-1, 0]])
    with VideoWriter(path, SIZE, 25.0, {}) as writer:
        for frame in range(6):
            writer.write(np.full((260, 210, 3), 40 * frame, np.uint8))
    write_keypoints(clip, tmp_path / "talk.npz")
    sources = load_sources(path, tmp_path / "talk.npz", 2)
    numbers = [int(source.name.rpartition("#")[2]) for source in sources]
    assert numbers[1] == 3
    for number, source in zip(numbers, sources, strict=True):
        assert abs(int(source.image.mean()) - 40 * number) < 4
        assert source.keypoints is not None
        assert np.allclose(source.keypoints.xy[0], clip.xy[number], atol=0.01)
    with pytest.raises(Missing, match="it is not known what the frames of .* show"):
        load_sources(path, None, 2)
    write_keypoints(clip[:4], tmp_path / "short.npz")
    with pytest.raises(Mismatch, match="has 4 frames"):
        load_sources(path, tmp_path / "short.npz", 2)
    larger = clip.resized(2 * SIZE[0], 2 * SIZE[1])
    write_keypoints(larger, tmp_path / "large.npz")
    (again, *_) = load_sources(path, tmp_path / "large.npz", 2)
    assert np.allclose(again.keypoints.xy, sources[0].keypoints.xy, atol=0.01)
    write_keypoints(replace(larger, width=3 * SIZE[0]), tmp_path / "wide.npz")
    with pytest.raises(Mismatch, match=f"its frame is {3 * SIZE[0]}x{2 * SIZE[1]}, the source {SIZE[0]}x{SIZE[1]}"):
        load_sources(path, tmp_path / "wide.npz", 2)
    with pytest.raises(Mismatch, match="--source-frames: is given for alma, which is one picture"):
        load_sources("alma", None, 2)


@pytest.mark.parametrize("degrees", [90, 180])
def test_chosen_frames_of_a_video_are_turned_with_their_keypoints(tmp_path: Path, degrees: int) -> None:
    clip, lying = poses(4), View(360 - degrees)
    changed(clip, 3, RIGHT_HAND, [[0, 1], [-1, 0]])
    stored = lying.of(clip)[0]
    picture = load_source("bela").image
    with VideoWriter(tmp_path / "frames", stored.size, 25.0, {}) as writer:
        for _ in range(4):
            writer.write(np.ascontiguousarray(np.rot90(picture, degrees // 90)))
    write_keypoints(stored, tmp_path / "talk.npz")
    sources = load_sources(tmp_path / "frames", tmp_path / "talk.npz", 2, rotate=degrees)
    for source in sources:
        number = int(source.name.rpartition("#")[2])
        assert np.array_equal(source.image, picture)
        assert source.keypoints is not None
        assert source.keypoints.size == SIZE
        assert np.allclose(source.keypoints.xy[0], clip.xy[number], atol=0.01)
        assert not source.notes
    (lies, *_) = load_sources(tmp_path / "frames", tmp_path / "talk.npz", 2)
    assert "--source-rotate" in lies.notes[0]


def test_pictures_and_keypoints_go_together_in_order(tmp_path: Path) -> None:
    write_keypoints(poses(1), tmp_path / "one.npz")
    Image.fromarray(load_source("bela").image).save(tmp_path / "b.png")
    first, second = load_sources([tmp_path / "b.png", "alma"], tmp_path / "one.npz")
    assert [first.name, second.name] == [str(tmp_path / "b.png"), "alma"]
    assert first.keypoints is not None
    assert np.allclose(first.keypoints.xy, poses(1).xy, atol=0.01)
    with pytest.raises(Mismatch, match="--source-keypoints: 2 files for 1 pictures"):
        load_sources("alma", [tmp_path / "one.npz"] * 2)
    with pytest.raises(BadValue, match=f"--source: got {MOST_SOURCES + 1} pictures"):
        load_sources(["alma"] * (MOST_SOURCES + 1))
    with pytest.raises(BadValue, match="--known: got frame -1"):
        load_given({-1: "alma"})
    with pytest.raises(InputError, match="no such file"):
        load_given({0: tmp_path / "none.png"})


def test_the_command_takes_several_sources_and_given_frames_and_says_so(tmp_path: Path) -> None:
    model, clip = save_pipeline(tmp_path / "model"), tmp_path / "clip.npz"
    write_keypoints(weather(10), clip)
    picture = np.random.default_rng(0).integers(0, 255, (52, 42, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "first.png")
    common = ["render", str(clip), "--model", str(model), "--window", "8", "--json"]
    several = ["--source", "alma", "--source", "bela", "--known", f"0={tmp_path / 'first.png'}"]
    done = CliRunner().invoke(main, [*common, "-o", str(tmp_path / "out"), *several], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["source"] == "alma"
    assert result["sources"] == ["alma", "bela"]
    assert result["known"] == {"0": str(tmp_path / "first.png")}
    manifest = json.loads(Path(result["manifest"]).read_text())
    assert (manifest["sources"], manifest["known"]) == (result["sources"], result["known"])
    frames = list(read_frames(tmp_path / "out"))
    assert np.array_equal(frames[0], picture)
    for bad, words in (
        (["--known", "10=alma"], "--known: got frame 10; the clip has frames 0 to 9"),
        (["--known", "first.png"], "--known: got 'first.png'; give a frame's number and its picture"),
        (["--known", "1=alma", "--known", "1=bela"], "--known: frame 1 is given twice"),
        (["--source", "alma"] * 8, "--window: 8 views, of which 8 are sources or given frames"),
    ):
        wrong = CliRunner().invoke(main, [*common, "-o", str(tmp_path / "no.mp4"), *bad])
        assert wrong.exit_code == 2
        assert words in wrong.stderr
        assert not (tmp_path / "no.mp4").exists()
