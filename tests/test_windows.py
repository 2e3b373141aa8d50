"""Windows, driving keypoints, staged outputs and manifests: what a render stands on, without a model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from signgen.errors import InputError, NotWritable
from signgen.keypoints import Keypoints
from signgen.rendering.driving import frame_range, hold_missing
from signgen.rendering.manifest import build_manifest, manifest_path, write_manifest
from signgen.rendering.sample_windows import plan_windows
from signgen.rendering.settings import RenderSettings


@pytest.mark.parametrize(("views", "overlap"), [(2, 0), (3, 1), (8, 1), (8, 2), (8, 6), (5, 0)])
@pytest.mark.parametrize("frames", [1, 2, 7, 50])
def test_every_frame_is_new_once_and_known_frames_come_just_before(frames, views, overlap):
    windows = list(plan_windows(frames, views, overlap))
    assert [i for window in windows for i in window.new] == list(range(frames))
    for window in windows:
        assert window.views <= views
        assert window.known.stop == window.new.start
        assert len(window.known) == min(overlap, window.new.start)


def test_a_longer_clip_begins_with_the_same_windows():
    whole = list(plan_windows(20, 8, 2))
    cut = list(plan_windows(12, 8, 2))
    assert whole[: len(cut)] == cut
    assert cut[-1].new.stop == 12  # 7 + 5: no window spans the cut
    assert [window.new.stop for window in plan_windows(49, 16, 1)][:3] == [7, 21, 35], "docs/render.md says so"


def test_the_first_window_is_short_so_that_frames_come_soon():
    assert [window.views for window in plan_windows(86, 18, 1)] == [8, 18, 18, 18, 18, 17]
    assert [len(window.new) for window in plan_windows(40, 20, 12)] == [7, 12, 7, 7, 7]


@pytest.mark.parametrize(("views", "overlap"), [(1, 0), (0, 0), (65, 1), (8, 7), (8, -1)])
def test_impossible_windows_are_refused(views, overlap):
    with pytest.raises(InputError, match=r"--window|--overlap"):
        list(plan_windows(10, views, overlap))


def clip(found: list[bool]) -> Keypoints:
    """Frame i stands at x = i + 1; frames that are not found are empty."""
    confidence = np.repeat(np.array(found, np.float32)[:, None], 133, axis=1)
    xy = np.arange(1, len(found) + 1, dtype=np.float32)[:, None, None] * np.ones((1, 133, 2), np.float32)
    return Keypoints(xy * confidence[..., None], confidence, width=64, height=64, fps=25.0)


def test_empty_frames_hold_the_last_pose_and_the_first_found_one_at_the_start():
    held, count = hold_missing(clip([False, True, False, False, True, False]))
    assert held.xy[:, 0, 0].tolist() == [2, 2, 2, 2, 5, 5]
    assert count == 4


def test_a_clip_without_empty_frames_is_left_alone():
    whole = clip([True, True])
    assert hold_missing(whole) == (whole, 0)


@pytest.mark.parametrize(
    ("frames", "expected"), [(None, range(6)), (slice(2, 4), range(2, 4)), (slice(3, None), range(3, 6))]
)
def test_frame_ranges(frames, expected):
    assert frame_range(clip([True] * 6), frames) == expected


@pytest.mark.parametrize("frames", [slice(0, 7), slice(6, None), slice(3, 3), slice(4, 2)])
def test_frame_ranges_beyond_the_clip_are_refused(frames):
    with pytest.raises(InputError, match="--frames"):
        frame_range(clip([True] * 6), frames)


def test_the_manifest_never_overwrites_somebody_elses_file(tmp_path):
    output, beside = tmp_path / "clip.mp4", tmp_path / "clip.json"
    assert manifest_path(output, []) == beside
    assert manifest_path(output, [beside]).name == "clip.manifest.json"
    beside.write_text('[{"frame_id": 0}]')
    assert manifest_path(output, []).name == "clip.manifest.json"
    write_manifest(beside, build_manifest({"frames": 1, "output": "clip.mp4"}, "0" * 64, {}))
    assert manifest_path(output, []) == beside
    assert "generated video" in json.loads(beside.read_text())["notice"]


def test_the_manifest_of_another_output_is_not_replaced(tmp_path):
    first, second = tmp_path / "v.json", tmp_path / "v.manifest.json"
    made = {"output": str(tmp_path / "v.mp4"), "compare": "elsewhere/side.mp4"}
    write_manifest(first, build_manifest(made, "0" * 64, {}))
    assert manifest_path(tmp_path / "v.mp4", []) == first
    assert manifest_path(tmp_path / "v.webm", []) == second
    assert manifest_path(tmp_path / "v", []) == second
    write_manifest(second, build_manifest({"output": "v.webm", "compare": None}, "0" * 64, {}))
    assert manifest_path(tmp_path / "v.webm", []) == second
    with pytest.raises(
        NotWritable, match=r"v: its manifest has no place: v\.json and v\.manifest\.json are other files"
    ):
        manifest_path(tmp_path / "v", [])
    with pytest.raises(NotWritable):
        manifest_path(tmp_path / "v.webm", [second])


@pytest.mark.parametrize(
    "options",
    [{"fps": 0}, {"fps": float("nan")}, {"size": (0, 0)}, {"steps": 0}, {"seed": -1}, {"guidance": (1.0, float("inf"))},
     {"smooth": -2}, {"fill_gaps": -1}, {"frame_size": (9000, 260)}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        RenderSettings(**options)


@pytest.mark.parametrize("frames", [(3, 7), range(3, 7), slice(0, 4, 2), "3:7"])
def test_frames_that_are_no_plain_slice_are_refused(frames):
    with pytest.raises(InputError, match=r"frames: got .* slice\(3, 7\)"):
        frame_range(clip([True] * 8), frames)
    assert frame_range(clip([True] * 8), slice(3, None)) == range(3, 8)


@pytest.mark.parametrize("sources", [1, 3])
@pytest.mark.parametrize("given", [(), (0,), (3, 17), (19,)])
def test_sources_and_given_frames_have_their_places(sources, given):
    windows = list(plan_windows(20, 8, 1, sources, given))
    assert [i for window in windows for i in window.new] == list(range(20))
    for window in windows:
        assert window.views <= 8
        later = [frame for frame in given if frame >= window.new.stop]
        assert list(window.ahead) == later[:1]
    with pytest.raises(InputError, match="--window: 4 views, of which 4 are sources or given frames"):
        list(plan_windows(20, 4, 0, 3, (2,)))
    with pytest.raises(InputError, match="--overlap: got 5 with a window of 8; allowed are 0 to 4"):
        list(plan_windows(20, 8, 5, 3))
