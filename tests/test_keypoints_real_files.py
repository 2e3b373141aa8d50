"""Real files of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from signgen.errors import Missing, Unsupported
from signgen.keypoints import read_keypoints
from signgen.keypoints.content import load
from signgen.rendering.framing import misfit, typical_stance

WHOLE = "wholebody133/derived_phoenix14t_86f"
# file -> format, frames, frame size, rate
FILES = {
    "pose/poseformat_mediapipe.pose": ("pose", 170, (1250, 1250), 24),
    "pose/poseformat_openpose.pose": ("pose", 93, (256, 256), 24),
    "pose/poseviewer_example.pose": ("pose", 97, (320, 240), 25),
    "pose/sgg_kinder.pose": ("pose", 45, (640, 480), 24),
    "pose/phoenix14t_25October_2010_Monday_tagesschau-17.pose": ("pose", 86, (210, 260), 25),
    f"{WHOLE}.npz": ("npz", 86, (210, 260), 25),
    f"{WHOLE}_mmpose_inferencer.json": ("mmpose", 86, (210, 260), 25),
    f"{WHOLE}_mmpose_topdown_demo.json": ("mmpose-topdown", 86, (210, 260), 25),
    f"{WHOLE}_slrt_twostream.pkl": ("slrt", 86, (210, 260), 25),
    f"{WHOLE}_unisign.pkl": ("uni-sign", 86, (210, 260), 25),
    "wholebody133/dgs_pg_poses_2d.json": ("rtmlib", 1, (1920, 1080), 25),
    "wholebody133/mmpose_test_coco_wholebody.json": ("coco-wholebody", 4, (640, 429), 25),
    "openpose_json/derived_phoenix14t_86f": ("openpose", 12, (210, 260), 25),
    "phoenix14t_mini/keypoints_mediapipe/10December_2009_Thursday_heute-7944.npz": ("npz", 32, (210, 260), 25),
    "phoenix14t_mini/keypoints_mediapipe/21November_2011_Monday_heute-5437.json": ("mmpose", 26, (210, 260), 25),
}


@pytest.mark.parametrize("name", FILES)
def test_reads(shared, name):
    read = read_keypoints(shared / "data" / name)
    keypoints = read.keypoints
    assert (read.format, len(keypoints), keypoints.size, keypoints.fps) == FILES[name]
    shoulders = (keypoints.confidence[:, 5:7] > 0).all(1)
    assert shoulders.any()


@pytest.mark.parametrize("name", [name for name in FILES if "86f" in name])
def test_one_clip_is_the_same_in_every_format(shared, name):
    truth = read_keypoints(shared / "data" / f"{WHOLE}.npz").keypoints
    read = read_keypoints(shared / "data" / name).keypoints
    both = (read.confidence > 0) & (truth.confidence[: len(read)] > 0)
    assert np.abs(read.xy - truth.xy[: len(read)])[both].max() < 1e-3
    assert np.abs(read.confidence - truth.confidence[: len(read)]).max() < 1e-3


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("pose/")])
def test_left_is_the_signers_own_left(shared, name):
    """All these signers face the camera: their left is on the picture's right, and eyes are above the mouth."""
    keypoints = read_keypoints(shared / "data" / name).keypoints
    xy, seen = keypoints.xy, keypoints.confidence > 0
    for left, right in ((5, 6), (23 + 45, 23 + 36), (23 + 16, 23 + 0), (23 + 54, 23 + 48)):
        frames = seen[:, left] & seen[:, right]
        assert np.median(xy[frames, left, 0] - xy[frames, right, 0]) > 0
    face = seen[:, 23 + 36] & seen[:, 23 + 57]
    assert np.median(xy[face, 23 + 36, 1] - xy[face, 23 + 57, 1]) < 0
    for wrist, root in ((9, 91), (10, 112)):
        frames = seen[:, wrist] & seen[:, root] & (keypoints.confidence[:, wrist] > 0.5)
        if frames.any():
            width = np.median(np.abs(xy[:, 5, 0] - xy[:, 6, 0]))
            assert np.median(np.linalg.norm(xy[frames, wrist] - xy[frames, root], axis=-1)) < 0.5 * width


def test_an_openpose_header_of_1000x1000_is_not_believed(shared):
    read = read_keypoints(shared / "data/pose/poseformat_openpose.pose")
    assert not read.size_known
    assert "1000x1000" in read.warnings[0]
    given = read_keypoints(shared / "data/pose/poseformat_openpose.pose", frame_size=(400, 300))
    assert given.keypoints.size == (400, 300)


def test_skels(shared):
    path = shared / "data/skels/dev.skels"
    names = (shared / "data/skels/dev.files").read_text().split()
    clips = [read_keypoints(path, clip=name).keypoints for name in names]
    assert [clip.name for clip in clips] == names
    assert read_keypoints(path, clip="0").keypoints == clips[0]
    for clip in clips:
        assert clip.size == (210, 260)
        assert 60 < np.median(clip.xy[:, 5, 0] - clip.xy[:, 6, 0]) < 100
        assert np.abs(clip.xy[:, 9] - clip.xy[:, 91]).max() < 15  # each hand is at its own wrist
        assert np.abs(clip.xy[:, 10] - clip.xy[:, 112]).max() < 15
    with pytest.raises(Missing):
        read_keypoints(path)


def test_torch_tensors_of_a_real_pickle(shared):
    """The features of the sign list are tensors of length 1; the list has no keypoints, and that is what is said."""
    path = shared / "data/slt_annotations/phoenix-2014t.dev"
    clips = load(path).value
    assert len(clips) == 519
    assert clips[0]["name"].startswith("dev/")
    assert isinstance(clips[0]["sign"], np.ndarray)
    with pytest.raises(Unsupported, match="519 clips with image features"):
        read_keypoints(path)


@pytest.mark.parametrize("name", ["corrnet_phoenix2014-T_dev_info.npy", "mska_gloss2ids.pkl"])
def test_other_files_of_the_trade_are_named_for_what_they_are(shared, name):
    with pytest.raises(Unsupported):
        read_keypoints(shared / "data/slt_annotations" / name)


def test_nothing_is_written_beside_the_samples(shared):
    before = sorted(Path(shared / "data/skels").iterdir())
    read_keypoints(shared / "data/skels/dev.skels", clip="1")
    assert sorted(Path(shared / "data/skels").iterdir()) == before


def test_the_first_clip_of_several_is_taken_where_that_will_do(shared):
    read = read_keypoints(shared / "data/skels/dev.skels", first=True)
    assert read.keypoints.name == (shared / "data/skels/dev.files").read_text().split()[0]
    assert "holds 5 clips" in read.warnings[0]
    assert not read.placed


@pytest.mark.parametrize("clip", range(5))
def test_neck_centred_clips_stand_where_signers_stand(shared, clip):
    """So that a file converted from one needs no --align, and no head is cut off."""
    keypoints = read_keypoints(shared / "data/skels/dev.skels", clip=str(clip)).keypoints
    assert misfit(keypoints, typical_stance(keypoints.size), keypoints.size) == []
    assert keypoints.xy[:, 0, 1].min() > 30  # the nose; above it the forehead and hair need room


def test_images_of_several_sizes_are_clips_of_their_own(shared):
    path = shared / "data/wholebody133/mmpose_test_coco_wholebody.json"
    read = read_keypoints(path, first=True)
    assert (len(read.keypoints), read.keypoints.size) == (1, (640, 425))
    assert "holds 4 clips" in read.warnings[0]
    assert len(read_keypoints(path, clip="000000000785.jpg").keypoints) == 1
