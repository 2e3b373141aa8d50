"""Every format, in from a file made here, and out again."""

from __future__ import annotations

import gzip
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keypoint_maker import points, signer

from signgen.errors import InputError, NotFound
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.keypoint_files import keypoint_bytes

FRAMES = 5
XY = points(FRAMES)
SCORES = np.full((FRAMES, 133), 0.9)
XYC = np.concatenate([XY, SCORES[..., None]], axis=-1)
BODY_25 = [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11, 19, 20, 21, 22, 23, 24]
BODY_18 = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]


def instance(t: int, rank: float | None = 0.9, shift: float = 0.0) -> dict[str, Any]:
    one = {"keypoints": (XY[t] + [shift, 0]).tolist(), "keypoint_scores": SCORES[t].tolist()}
    return one | ({"bbox": [[0, 0, 9, 9]], "bbox_score": rank} if rank is not None else {})


def save(path: Path, value: Any) -> Path:
    """JSON for .json, else a pickle."""
    path.write_bytes(json.dumps(value).encode() if path.suffix == ".json" else pickle.dumps(value))
    return path


def assert_read(path: Path, format: str, *, atol: float = 1e-3, joints: Any = slice(None), **options: Any) -> Any:
    read = read_keypoints(path, **options)
    assert read.format == format
    assert len(read.keypoints) == FRAMES
    assert np.abs(read.keypoints.xy[:, joints] - XY[:, joints]).max() <= atol
    return read


# --- MMPose ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first_id", [0, 1])
def test_mmpose_inferencer(tmp_path, first_id):
    value = [{"frame_id": t + first_id, "instances": [instance(t)]} for t in range(FRAMES)]
    read = assert_read(save(tmp_path / "clip.json", value), "mmpose")
    assert (read.size_known, read.fps_known, read.people) == (False, False, 1)
    assert (read.keypoints.size, read.keypoints.fps, read.keypoints.name) == ((210, 260), 25, "clip")
    assert any("assumed 210x260" in warning and "25 fps" in warning for warning in read.warnings)


def test_mmpose_frame_without_anybody_is_missing(tmp_path):
    value = [{"frame_id": t, "instances": [instance(t)] if t != 2 else []} for t in range(FRAMES)]
    read = read_keypoints(save(tmp_path / "clip.json", value))
    assert (read.keypoints.confidence[2] == 0).all()
    assert (read.keypoints.confidence[[0, 1, 3, 4]] > 0).all()


def test_mmpose_one_file_per_frame_in_natural_order(tmp_path):
    for t in range(FRAMES):
        save(tmp_path / f"images{8 + t}.json", [instance(t)])
    assert assert_read(tmp_path, "mmpose").keypoints.name == tmp_path.name
    save(tmp_path / "images7.json", [])
    assert len(read_keypoints(tmp_path).keypoints) == FRAMES + 1


def test_mmpose_topdown_demo_with_json_tricks_arrays(tmp_path):
    def trick(value: list) -> dict:
        return {"__ndarray__": value, "dtype": "float32", "shape": list(np.shape(value))}

    frames = []
    for t in range(FRAMES):
        one = instance(t)
        tricked = one | {key: trick(one[key]) for key in ("keypoints", "keypoint_scores")}
        frames.append({"frame_id": t + 1, "instances": [tricked]})
    value = {"meta_info": {"dataset_name": "coco_wholebody"}, "instance_info": frames}
    assert assert_read(save(tmp_path / "results_a.json", value), "mmpose-topdown").keypoints.name == "a"


def test_mmpose_0(tmp_path):
    flat = [{"bbox": [0, 0, 9, 9, 0.9], "keypoints": XYC[t].tolist()} for t in range(FRAMES)]
    assert "read as 5 frames" in assert_read(save(tmp_path / "a.json", flat), "mmpose-0.x").warnings[0]
    nested = [[{"bbox": np.ones(5), "keypoints": XYC[t]}] for t in range(FRAMES)]
    assert_read(save(tmp_path / "b.pkl", nested), "mmpose-0.x")
    people = [
        {"bbox": [0, 0, 9, 9, rank], "keypoints": (XYC[0] + [shift, 0, 0]).tolist()}
        for rank, shift in ((0.5, 300), (0.9, 0))
    ]
    read = read_keypoints(save(tmp_path / "c.json", people))
    assert (len(read.keypoints), read.people) == (1, 2)
    assert np.abs(read.keypoints.xy[0] - XY[0]).max() < 1e-3


def test_follows_the_signer_through_swaps_and_a_surer_bystander(tmp_path):
    value = []
    for t in range(FRAMES):
        people = [instance(t, 0.9), instance(t, 0.99 if t == 3 else 0.6, shift=400)]
        value.append({"frame_id": t, "instances": people[:: 1 if t % 2 else -1]})
    read = assert_read(save(tmp_path / "a.json", value), "mmpose")
    assert read.people == 2
    assert "up to 2 people in a frame (5 of 5 frames)" in read.warnings[0]


def test_a_bystander_does_not_stand_in_for_the_signer(tmp_path):
    value = [{"frame_id": t, "instances": [instance(t, 0.9), instance(t, 0.5, shift=400)]} for t in range(FRAMES)]
    value[2]["instances"] = value[2]["instances"][1:]
    read = read_keypoints(save(tmp_path / "a.json", value))
    assert (read.keypoints.confidence[2] == 0).all()
    assert "not seen in 1 frames" in read.warnings[0]


def test_a_signer_who_jumps_is_still_followed(tmp_path):
    value = [{"frame_id": t, "instances": [instance(t, 0.9, shift=500 * (t > 2))]} for t in range(FRAMES)]
    assert (read_keypoints(save(tmp_path / "a.json", value)).keypoints.confidence > 0).all()


# --- RTMLib, COCO ---------------------------------------------------------------------------------------------
def test_rtmlib_plain_and_with_camera_views(tmp_path):
    plain = [{"frame": t, "keypoints": [XY[t].tolist()], "scores": [SCORES[t].tolist()]} for t in range(FRAMES)]
    assert_read(save(tmp_path / "a.json", plain), "rtmlib")
    nobody = {"keypoints": [], "scores": []}
    views = [{"frame": t, "left": frame, "right": frame | nobody} for t, frame in enumerate(plain)]
    assert "camera views left, right" in assert_read(save(tmp_path / "b.json", views), "rtmlib").warnings[0]


def test_coco_wholebody(tmp_path):
    def flat(t: int, part: slice) -> list[float]:
        return np.concatenate([XY[t, part], np.full((part.stop - part.start, 1), 2.0)], axis=1).ravel().tolist()

    parts = {"keypoints": slice(0, 17), "foot_kpts": slice(17, 23), "face_kpts": slice(23, 91),
             "lefthand_kpts": slice(91, 112), "righthand_kpts": slice(112, 133)}  # fmt: skip
    images = [{"id": 10 - t, "file_name": f"{t + 8}.png", "width": 300, "height": 480} for t in range(FRAMES)]
    annotations = [{"image_id": 10 - t, "bbox": [0, 0, 9, 9], **{key: flat(t, part) for key, part in parts.items()}}
                   for t in range(FRAMES)]  # fmt: skip
    path = save(tmp_path / "a.json", {"images": images, "annotations": annotations})
    read = assert_read(path, "coco-wholebody")
    assert read.size_known
    assert read.keypoints.size == (300, 480)
    assert read.keypoints.confidence.max() == 1
    assert len(read_keypoints(path, clip="9.png").keypoints) == 1

    far = {"image_id": 10, **{key: (np.array(flat(0, part)) + 99).tolist() for key, part in parts.items()}}
    small, large = annotations[0], {**far, "bbox": [0, 0, 30, 30]}
    path = save(tmp_path / "b.json", {"images": images[:1], "annotations": [small, large]})
    read = read_keypoints(path)
    assert any("follows 2, the largest" in warning for warning in read.warnings)
    np.testing.assert_allclose(read.keypoints.xy[0], XY[0] + 99, atol=1e-3)
    scored = [{**small, "score": 0.9}, {**large, "score": 0.5}]
    read = read_keypoints(save(tmp_path / "c.json", {"images": images[:1], "annotations": scored}))
    assert any("follows 1, mean score 0.90" in warning for warning in read.warnings)
    np.testing.assert_allclose(read.keypoints.xy[0], XY[0], atol=1e-3)


# --- OpenPose, DWPose -----------------------------------------------------------------------------------------
def openpose_frame(t: int, scale: float = 1.0, offset: float = 0.0) -> dict[str, Any]:
    xyc = XYC[t] * [scale, scale, 1] + [offset, offset, 0]
    body = np.zeros((25, 3))
    body[BODY_25] = xyc[:23]
    face = np.concatenate([xyc[23:91], np.zeros((2, 3))])
    person = {"pose_keypoints_2d": body, "face_keypoints_2d": face, "hand_left_keypoints_2d": xyc[91:112],
              "hand_right_keypoints_2d": xyc[112:]}  # fmt: skip
    return {"version": 1.3, "people": [{key: value.ravel().tolist() for key, value in person.items()}]}


def openpose_folder(folder: Path, stem: str = "clip", **change: float) -> Path:
    folder.mkdir(exist_ok=True)
    for t in range(FRAMES):
        save(folder / f"{stem}_{t:012d}_keypoints.json", openpose_frame(t, **change))
    return folder


def test_openpose_folder(tmp_path):
    folder = openpose_folder(tmp_path / "json")
    assert assert_read(folder, "openpose").keypoints.name == "clip"
    openpose_folder(folder, "other")
    assert_read(folder, "openpose", clip="other")
    save(folder / "clip_000000000005_keypoints.json", {"version": 1.3, "people": []})
    assert (read_keypoints(folder, clip="clip").keypoints.confidence[5] == 0).all()


@pytest.mark.parametrize(("scale", "offset"), [(1 / 512, 0), (2 / 512, -1)])
def test_openpose_keypoint_scale(tmp_path, scale, offset):
    folder = openpose_folder(tmp_path / "json", scale=scale, offset=offset)
    read = assert_read(folder, "openpose", frame_size=(512, 512), atol=0.01)
    assert read.size_known


def test_openpose_without_hands_and_face(tmp_path):
    frame = openpose_frame(0)
    frame["people"][0] |= {"face_keypoints_2d": [], "hand_left_keypoints_2d": []}
    read = read_keypoints(save(tmp_path / "a_000000000000_keypoints.json", frame))
    assert (read.keypoints.confidence[:, 23:112] == 0).all()
    assert np.abs(read.keypoints.xy[0, 112:] - XY[0, 112:]).max() < 1e-3


def test_dwpose(tmp_path):
    value = []
    for t in range(FRAMES):
        unit, body = XY[t] / [210, 260], np.full((18, 2), -1.0)
        body[BODY_18] = unit[:17]
        hands = np.stack([unit[91:112], unit[112:]])
        hands[1, 20] = -1
        value.append({
            "bodies": {"candidate": body, "subset": np.arange(18.0)[None], "score": np.full((1, 18), 0.8)},
            "hands": hands, "hands_score": np.full((2, 21), 0.8),
            "faces": unit[None, 23:91], "faces_score": np.full((1, 68), 0.8),
        })  # fmt: skip
    joints = [*range(17), *range(23, 132)]
    read = assert_read(save(tmp_path / "a.pkl", value), "dwpose", frame_size=(210, 260), joints=joints)
    assert (read.keypoints.confidence[:, [17, 22, 132]] == 0).all()
    assert read_keypoints(tmp_path / "a.pkl").keypoints.size == (210, 260)  # stands as in PHOENIX14T


# --- pickles --------------------------------------------------------------------------------------------------
def test_slrt_and_nla_slr_and_gzip(tmp_path):
    many = {"train/a": {"keypoints": XYC.astype(np.float32)}, "train/b": {"keypoints": XYC[:2] + 3}}
    path = save(tmp_path / "a.pkl", many)
    assert assert_read(path, "slrt", clip="a").keypoints.name == "train/a"
    (tmp_path / "b.bin").write_bytes(gzip.compress(path.read_bytes()))
    assert_read(tmp_path / "b.bin", "slrt", clip="train/a")
    assert_read(save(tmp_path / "c.pkl", {"x": XYC}), "nla-slr")
    assert_read(save(tmp_path / "d.pkl", XYC), "npy")


def test_mska_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    clip = {"name": "dev/a", "gloss": "X", "text": "x .", "num_frames": FRAMES, "keypoint": torch.tensor(XYC).float()}
    assert_read(save(tmp_path / "a.dev", {"dev/a": clip}), "mska")
    turned = torch.tensor(XYC).permute(2, 0, 1).contiguous().permute(1, 2, 0)  # strides are not those of a plain array
    assert_read(save(tmp_path / "b.dev", {"dev/a": clip | {"keypoint": turned}}), "mska")
    torch.save({"dev/a": clip}, tmp_path / "c.pt")
    assert_read(tmp_path / "c.pt", "mska")
    half = {"dev/a": clip | {"keypoint": torch.tensor(XYC).half()[:, None][:, 0]}}
    assert_read(save(tmp_path / "d.dev", half), "mska", atol=0.2)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_pickle_protocols(tmp_path, protocol):
    (tmp_path / "a").write_bytes(pickle.dumps({"x": {"keypoints": XYC}}, protocol))
    assert_read(tmp_path / "a", "slrt")


def test_unisign(tmp_path):
    scores = [SCORES[t][None] for t in range(FRAMES)]
    value = {"keypoints": [XY[t][None] / [210, 260] for t in range(FRAMES)], "scores": scores}
    read = assert_read(save(tmp_path / "a.pkl", value), "uni-sign", atol=0.01)
    assert read.keypoints.size == (210, 260)
    assert "fractions of a frame" in read.warnings[0]
    wide = {"keypoints": [XY[t][None] / [1280, 720] for t in range(FRAMES)], "scores": value["scores"]}
    assert read_keypoints(save(tmp_path / "b.pkl", wide)).keypoints.size == (1280, 720)


@pytest.mark.parametrize("format", ["uni-sign", "dwpose", "mediapipe"])
def test_fractions_of_somebody_who_leaves_the_frame_stay_fractions(tmp_path, format):
    """Where many points lie beyond its left edge they look as if they were -1 to 1, and all would be moved."""
    aside = Keypoints(XY - np.array([100, 0]), SCORES, width=210, height=260, fps=25.0, name="a")
    write_keypoints(aside, tmp_path / "a", format)
    read = read_keypoints(tmp_path / "a", frame_size=(210, 260)).keypoints
    there = read.confidence > 0
    assert there.any()
    assert np.abs(read.xy - aside.xy)[there].max() < 0.01


# --- arrays ---------------------------------------------------------------------------------------------------
def test_arrays(tmp_path):
    size_row = np.concatenate([np.tile([[[300.0, 400.0, 0.0]]], (FRAMES, 1, 1)), XYC], axis=1)
    shapes = {"three": XYC, "two": XY, "people": XYC[:, None], "with_size": size_row, "single": XYC.astype(np.float16)}
    for name, array in shapes.items():
        np.save(tmp_path / f"{name}.npy", array)
        read = assert_read(tmp_path / f"{name}.npy", "npy", atol=0.2)
        assert read.size_known == (name == "with_size")
    assert read_keypoints(tmp_path / "with_size.npy").keypoints.size == (300, 400)
    np.savez(tmp_path / "a.npz", keypoints=XY, scores=SCORES, width=300, height=400, fps=24.0)
    read = assert_read(tmp_path / "a.npz", "npz")
    assert (read.keypoints.size, read.keypoints.fps, read.warnings) == ((300, 400), 24, [])
    np.save(tmp_path / "dict.npy", {"c": {"keypoints": XYC}}, allow_pickle=True)
    assert_read(tmp_path / "dict.npy", "slrt")


def test_content_decides_and_not_the_name(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=XYC)
    (tmp_path / "a.npz").rename(tmp_path / "lies.json")
    assert_read(tmp_path / "lies.json", "npz")


def test_frame_size_and_rate_win_over_the_file(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=XYC, width=300, height=400, fps=24.0)
    read = assert_read(tmp_path / "a.npz", "npz", frame_size=(640, 480), fps=50)
    assert (read.keypoints.size, read.keypoints.fps) == ((640, 480), 50)
    assert read.size_known
    assert read.fps_known


# --- text -----------------------------------------------------------------------------------------------------
def skels_line(frames: int = 4) -> tuple[str, np.ndarray]:
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.uniform(-0.3, 0.3, (frames, 150)), np.arange(frames)[:, None] / frames], axis=1)
    rows[:, 3:6] = 0  # the neck is the origin
    rows[:, [6, 7, 15, 16]] = [0.167, 0, -0.167, 0]  # left and right shoulder
    return " ".join(f"{value:.5f}" for value in rows.ravel()), rows


def test_a_clip_asked_of_a_file_without_views_must_be_that_one(tmp_path):
    (tmp_path / "a.json").write_bytes(keypoint_bytes(signer(4), "rtmlib")[0])
    assert read_keypoints(tmp_path / "a.json", clip="a").format == "rtmlib"
    with pytest.raises(NotFound):
        read_keypoints(tmp_path / "a.json", clip="WRONG")


def test_scores_beside_points_in_space_are_the_confidence(tmp_path):
    given = signer(4)
    depth = np.linspace(-3, 3, 133)
    points = np.concatenate([given.xy, np.broadcast_to(depth[:, None], (4, 133, 1))], -1)
    np.savez(tmp_path / "a.npz", keypoints=points, scores=given.confidence, width=210, height=260, fps=25.0)
    read = read_keypoints(tmp_path / "a.npz").keypoints
    assert np.array_equal(read.confidence, given.confidence)
    assert np.array_equal(read.xy, given.xy)


def test_scores_of_another_shape_are_left_out_with_a_word(tmp_path):
    given = signer(4)
    np.savez(tmp_path / "a.npz", keypoints=given.points, scores=np.ones(4), width=210, height=260, fps=25.0)
    read = read_keypoints(tmp_path / "a.npz")
    assert read.keypoints == replace(given, name="a")
    assert any("scores of shape (4,)" in line for line in read.warnings)
    np.savez(tmp_path / "b.npz", keypoints=given.xy, scores=np.ones(4))  # without a third column they would be needed
    with pytest.raises(InputError):
        read_keypoints(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("counter", "kept"),
    [
        (np.full(30, 0.7), 30),
        (np.full(30, 1.0), 30),
        (np.zeros(30), 30),
        (np.full(30, np.nan), 30),
        (np.arange(30, 0, -1) / 30, 30),
        (np.arange(30) / 60, 30),
        (np.random.default_rng(3).uniform(0, 1, 30), 30),
        (np.r_[np.arange(20) / 20, np.linspace(0.9, 0.3, 10)], 20),
        (np.r_[np.linspace(0, 1.02, 20), np.ones(10)], 20),
    ],
)
def test_skels_end_where_a_counter_that_counts_has_ended(tmp_path, counter, kept):
    rows = skels_line(30)[1].reshape(30, -1).copy()
    rows[:, -1] = counter
    (tmp_path / "a.skels").write_text(" ".join(map(str, rows.ravel())))
    read = read_keypoints(tmp_path / "a.skels")
    assert len(read.keypoints) == kept
    assert any(f"{30 - kept} of 30 frames are left out" in line for line in read.warnings) == (kept < 30)


def test_skels_lines_by_name_and_number(tmp_path):
    first, second = skels_line(4), skels_line(3)
    (tmp_path / "dev.skels").write_text(f"{first[0]} \n{second[0]} {'0.0 ' * 151}\n")
    (tmp_path / "dev.files").write_text("dev/a-1\ndev/b-2\n")
    read = read_keypoints(tmp_path / "dev.skels", clip="a-1")
    assert (read.format, len(read.keypoints), read.keypoints.name) == ("skels", 4, "dev/a-1")
    padded = read_keypoints(tmp_path / "dev.skels", clip="1")
    assert len(padded.keypoints) == 3
    assert any("1 of 4 frames are left out: zeros at the end" in line for line in padded.warnings)
    xy, rows = read.keypoints.xy, first[1].reshape(4, -1)
    width = xy[0, 5, 0] - xy[0, 6, 0]
    assert width == pytest.approx(86 * 1.002, rel=1e-3)
    hand = rows[0, 3 * 29 : 3 * 50].reshape(21, 3)[:, :2] * 3 * 86
    assert np.allclose(xy[0, 91:112] - xy[0, 5], hand - [0.501 * 86, 0], atol=0.01)
    assert (read.keypoints.confidence[:, 11:91] == 0).all()
    assert "points around the body placed as a PHOENIX14T signer" in read.warnings[0]


def test_fpdm_text_folder(tmp_path):
    for t in range(FRAMES):
        rows = XY[t].copy()
        rows[3] = 0
        np.savetxt(tmp_path / f"images{t + 8}.txt", rows)
    read = assert_read(tmp_path, "fpdm", joints=[0, 1, 2, *range(4, 133)])
    assert (read.keypoints.confidence[:, 3] == 0).all()
    assert len(read_keypoints(tmp_path / "images8.txt").keypoints) == 1


# --- .pose, and writing ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".json", ".pose", ".npz"])
def test_what_is_written_reads_back(tmp_path, suffix):
    keypoints = signer(6)
    confidence = keypoints.confidence.copy()
    confidence[2:4, 91:112] = 0
    keypoints = Keypoints(keypoints.xy, confidence, 210, 260, 29.97, "drawn")
    losses = write_keypoints(keypoints, tmp_path / f"drawn{suffix}")
    read = read_keypoints(tmp_path / f"drawn{suffix}", frame_size=(210, 260), fps=29.97)
    assert np.array_equal(read.keypoints.xy, keypoints.xy)
    assert np.array_equal(read.keypoints.confidence, keypoints.confidence)
    assert [path.name for path in tmp_path.iterdir()] == [f"drawn{suffix}"]
    assert bool(losses) == (suffix == ".json")  # a .pose file keeps the name as its own
    if suffix != ".json":
        plain = read_keypoints(tmp_path / f"drawn{suffix}").keypoints
        assert (plain.size, plain.fps) == ((210, 260), pytest.approx(29.97))


def test_mmpose_json_has_mmposes_own_layout(tmp_path):
    write_keypoints(signer(2), tmp_path / "a.json")
    value = json.loads((tmp_path / "a.json").read_text())
    assert [frame["frame_id"] for frame in value] == [0, 1]
    person = value[0]["instances"][0]
    assert list(person) == ["keypoints", "keypoint_scores", "bbox", "bbox_score"]
    assert np.shape(person["keypoints"]) == (133, 2)
    assert np.shape(person["bbox"]) == (1, 4)


def test_pose_components(tmp_path):
    """Reduced and world-landmark components through the library's own writer."""
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    def component(name: str, names: list[str]) -> PoseHeaderComponent:
        return PoseHeaderComponent(name, names, [], [], "XYZKC")

    body = ["LEFT_SHOULDER", "RIGHT_SHOULDER", "RIGHT_WRIST"]
    hand = [str(i) for i in range(21)]
    components = [component("POSE_LANDMARKS", body), component("POSE_WORLD_LANDMARKS", body),
                  component("FACE_LANDMARKS", ["7", "152"]), component("RIGHT_HAND_LANDMARKS", hand)]  # fmt: skip
    data = np.zeros((FRAMES, 1, 29, 4), np.float32)  # x, y, z and one more
    data[:, 0, [0, 1, 2, 7], :2] = XY[:, [5, 6, 10, 31]]
    data[:, 0, 8:, :2] = XY[:, 112:]
    data[:, 0, 3:6] = 0.5  # metres
    confidence = np.ones((FRAMES, 1, 29), np.float32)
    confidence[2, 0, 8:] = 0
    with (tmp_path / "a.pose").open("wb") as stream:
        header = PoseHeader(0.1, PoseHeaderDimensions(300, 400, 0), components)
        Pose(header, NumPyPoseBody(24, data, confidence)).write(stream)
    read = read_keypoints(tmp_path / "a.pose")
    assert (read.format, read.keypoints.size, read.keypoints.fps) == ("pose", (300, 400), 24)
    seen = np.flatnonzero(read.keypoints.confidence[0] > 0)
    assert seen.tolist() == [5, 6, 10, 31, *range(112, 133)]
    assert np.abs(read.keypoints.xy[0, seen] - XY[0, seen]).max() < 1e-3
    assert (read.keypoints.confidence[2, 112:] == 0).all()
