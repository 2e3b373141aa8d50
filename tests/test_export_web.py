"""The page that renders in a browser: its modules give Python's numbers, and in Chromium its frames are torch's.

The modules run in Node. The browser's test needs playwright, a Chromium (SIGNGEN_CHROMIUM may name one) and ONNX
Runtime's package, which npm fetches unless SIGNGEN_ORT_WEB names a folder that holds it.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import json
import os
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import browsers
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_pipeline import DENOISER, make_pipeline, weather

from signgen.cli import main
from signgen.errors import NotFound, NotInstalled, NotWritable, RunError, Unsupported
from signgen.exporter import web
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.repair.missing import fill_missing
from signgen.keypoints.skeleton import FACE, HIPS, LOWER_BODY, SHOULDERS
from signgen.model import SignGenPipeline
from signgen.model.diffusion.noise import frame_noise
from signgen.model.guide import BODY, CHANNELS, with_arms
from signgen.model.pipeline import _SOURCE
from signgen.model.regions import REFINERS, SourceRegions, keep_faces, paste, region_crops
from signgen.package import EXAMPLES
from signgen.pose_image.solid import HandFitter
from signgen.rendering.sample_windows import draw_canvas, render_windows
from signgen.rendering.scene import build_scene
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import load_source
from signgen.video import probe

onnx = pytest.importorskip("onnx", reason="onnx is not installed: signgen[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: signgen[onnx]")

DRIVER = Path(__file__).with_name("page_driver.mjs")
FRAME, SIGNER = (210, 260), "bela"
RENDERED, PATIENCE = 9, 280  # frames, of two windows; seconds
LEAST_PSNR, FIRST_FRAME = 40.0, 10.0  # dB; seconds, on a machine that has nothing else to do


# ------------------------------------------------------------------------------------------------ modules, in Node
@pytest.fixture(scope="module")
def pipeline() -> SignGenPipeline:
    return make_pipeline(FRAME, refined=True, pose={**DENOISER["pose"], "guide": CHANNELS})


@pytest.fixture(scope="module")
def written(pipeline, tmp_path_factory) -> Path:
    """What the page loads of a tiny model."""
    folder = tmp_path_factory.mktemp("written")
    web.write_model(pipeline, folder)
    return folder


@pytest.fixture(scope="module")
def ask(written) -> Any:
    """Asks the page's modules, see `page_driver.mjs`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")

    def answer(task: str, **given: Any) -> Any:
        request = json.dumps({"page": str(web.PAGE), "model": str(written), "task": task, **given})
        done = subprocess.run([node, DRIVER], input=request, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return answer


def plain(clip: Keypoints) -> dict[str, Any]:
    return {
        "xy": clip.xy.ravel().tolist(), "confidence": clip.confidence.ravel().tolist(),
        "width": clip.width, "height": clip.height, "fps": clip.fps,
    }  # fmt: skip


def test_noise_is_numpys(ask):
    found = np.array(ask("noise", seed=7, frames=["source", 0, 123456], count=9000), np.float32)
    np.testing.assert_array_equal(found, frame_noise(7, [_SOURCE, 0, 123456], (9000,)).numpy())
    assert np.abs(found).max() > 3.66, "the ziggurat's tail is drawn, too"


def test_poses_hands_guides_and_crops_are_those_of_python(ask, pipeline):
    clip = weather(14)
    confidence = clip.confidence.copy()
    confidence[4:7, 91:112] = 0  # a hand that is lost for some frames
    confidence[9:, FACE.start :: 7] = 0.2
    clip = replace(clip, confidence=confidence)
    found = ask("draw", clip=plain(clip), signer=SIGNER)
    source = load_source(SIGNER)
    regions = SourceRegions.of(source.image, source.keypoints.points[0])
    solid = HandFitter(FRAME, pipeline.config.pixel_aspect).fit(clip.xy, clip.confidence).pictures(FRAME)
    poses = draw_canvas(pipeline, clip)
    assert (solid != 128).any(), "there are hands to be drawn"
    apart = np.abs(np.array([one["solid"] for one in found]).reshape(solid.shape) - solid.astype(int))
    assert (apart > 2).mean() < 1e-5
    seen = pipeline.with_guides(poses, clip.points, solid, [regions])
    apart = np.abs(np.array([one["seen"] for one in found]).reshape(seen.shape) - seen.astype(int))
    assert (apart > 2).mean() < 1e-5
    left, right, top, bottom = pipeline.canvas_padding
    inner, frames = poses[:, top:-bottom, left:-right], np.repeat(source.image[None], len(clip), 0)
    for name, refiner in pipeline.refiners.items():
        crops = region_crops(REFINERS[name], refiner.config.side, frames, inner, clip.points, solid, [regions])
        flat = [(frame, crop) for frame, one in enumerate(found) for crop in one["crops"][name]]
        assert [frame for frame, _ in flat] == crops.which.tolist()
        assert [[crop["x"], crop["y"]] for _, crop in flat] == crops.places.tolist()
        inputs = np.array([crop["input"] for _, crop in flat]).reshape(crops.inputs.shape)
        assert np.abs(inputs[:, 9]).max() > 0, "the source's hand or face is there"
        assert (np.abs(inputs - crops.inputs.numpy()) > 0.02).mean() < 1e-4


def test_arms_are_stretched_to_the_pose_as_in_python(ask, pipeline):
    clip, source = weather(20)[::5], load_source(SIGNER)
    y, x = np.mgrid[: FRAME[1], : FRAME[0]]
    matte = np.where((x + y) % 50 < 30, 255, 0).astype(np.uint8)  # has an edge in every arm
    regions = SourceRegions.of(source.image, source.keypoints.points[0], matte=matte)
    cells = pipeline.with_guides(draw_canvas(pipeline, clip), clip.points, None, [regions])[:, ::2, ::2, BODY]
    expected = with_arms(cells, clip.points, [regions], pipeline.canvas_padding)
    assert (expected != cells).mean() > 0.005, "there are arms"
    given = {"cells": cells.reshape(len(clip), -1).tolist(), "matte": matte.ravel().tolist()}
    found = np.array(ask("arms", clip=plain(clip), signer=SIGNER, **given)).reshape(expected.shape)
    assert (np.abs(found - expected.astype(int)) > 2).mean() < 1e-4


@pytest.mark.parametrize("shutter", [0.25, 0.5])
def test_fast_hands_are_smeared_as_in_python(ask, pipeline, shutter):
    clip = weather(99)[::9]  # nine times as fast
    hands = HandFitter(FRAME, pipeline.config.pixel_aspect).fit(clip.xy, clip.confidence)
    crisp = hands.pictures(FRAME)
    expected = hands.smeared(crisp, shutter)
    assert (expected != crisp).mean() > 0.001, "hands are fast"
    found = np.array(ask("smear", clip=plain(clip), shutter=shutter)).reshape(expected.shape)
    assert (np.abs(found - expected.astype(int)) > 2).mean() < 2e-5


@pytest.mark.parametrize("least", [1, 0.2])
def test_a_face_stays_as_it_was_painted_as_in_python(ask, least):
    clip, (width, height) = weather(1), FRAME
    confidence = clip.confidence.copy()
    confidence[:, FACE] *= least  # a face that is not sure is composed as all else
    clip = replace(clip, confidence=confidence)
    composed, painted, matte = (
        np.zeros((height, width, 3)),
        np.full((height, width, 3), 200),
        np.full((height, width), 255),
    )
    matte[:, : round(float(clip.xy[0, FACE, 0].mean()))] = 100
    given = {"composed": composed, "painted": painted, "matte": matte}
    given = {name: value.astype(int).ravel().tolist() for name, value in given.items()}
    found = np.array(ask("face", clip=plain(clip), size=FRAME, **given)).reshape(height, width, 3)
    frames = (value.astype(np.uint8)[None] for value in (composed, painted, matte))
    expected = keep_faces(*frames, clip.points)[0]
    assert expected.max() == (200 if least == 1 else 0)
    assert np.abs(found - expected).max() <= 1


def test_refined_crops_are_put_back_as_in_python(ask, pipeline):
    clip, source = weather(1), load_source(SIGNER)
    side = pipeline.hand_refiner.config.side
    crops = region_crops("hand", side, source.image[None], source.image[None], clip.points, None, [])
    refined = crops.inputs[:, :3] + torch.rand(crops.inputs[:, :3].shape, generator=torch.Generator().manual_seed(0))
    given = [
        {"x": int(x), "y": int(y), "side": side, "input": one.flatten().tolist(), "refined": more.flatten().tolist()}
        for (x, y), one, more in zip(crops.places, crops.inputs, refined, strict=True)
    ]
    found = ask("paste", frame=source.image.ravel().tolist(), crops=given, size=FRAME)
    expected = paste(source.image[None], [(crops, refined)])[0]
    assert (expected != source.image).any()
    assert np.abs(np.array(found).reshape(expected.shape) - expected.astype(int)).max() <= 1


def _lost(name: str, confidence: np.ndarray) -> None:
    """Takes points away, as estimators do."""
    if name == "a hand for a while, and its wrist for a moment":
        confidence[10:24, 91:112] = 0
        confidence[14:16, 9] = 0
    elif name == "a hand at the start, and at the end":
        confidence[:6, 112:133] = 0
        confidence[33:, 112:133] = 0
    elif name == "a hand always":
        confidence[:, 91:112] = 0
    elif name == "points here and there":
        confidence[3::7, 95:99] = 0
        confidence[4::5, FACE.start + 30] = 0
    elif name == "a face and elbows":
        confidence[12:20, FACE] = 0
        confidence[5:30, 7:9] = 0
        confidence[:, 8] = 0
    elif name == "an elbow beside a wrist at its shoulder":
        confidence[8:34, 8] = 0
    elif name == "a hand but for moments":
        confidence[:18, 91:112] = 0
        confidence[20:37, 91:112] = 0


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "a hand for a while, and its wrist for a moment",
        "a hand at the start, and at the end",
        "a hand always",
        "points here and there",
        "a face and elbows",
        "an elbow beside a wrist at its shoulder",
        "a hand but for moments",
    ],
)
def test_lost_parts_are_completed_as_in_python(ask, name):
    clip = weather(40)
    confidence = clip.confidence.copy()
    _lost(name, confidence)
    xy = clip.xy * (confidence > 0)[..., None]
    if name == "a hand but for moments":
        xy[18:20, 91:112] += 90  # where no arm has it
    elif name == "an elbow beside a wrist at its shoulder":
        xy[10:30, 10] = xy[10:30, 6] + np.linspace(-20, 20, 20)[:, None] * (1, 0.1)
    clip = replace(clip, xy=xy, confidence=confidence)
    expected, said = fill_missing(clip)
    assert bool(said) == (name not in ("nothing", "points here and there"))
    found = ask("repair", clip=plain(clip))
    np.testing.assert_allclose(np.array(found["confidence"]).reshape(40, 133), expected.confidence, atol=1e-5)
    np.testing.assert_allclose(np.array(found["xy"]).reshape(40, 133, 2), expected.xy, atol=0.02)


@pytest.mark.parametrize("fps", [30, 50])
def test_gaps_are_as_long_at_other_rates_as_in_python(ask, fps):
    """A quarter of a second is 12.5 frames at 50 frames a second: 12, as Python rounds it."""
    clip = replace(weather(40, FRAME), fps=fps)
    confidence = clip.confidence.copy()
    confidence[10:23, [9, *range(91, 112)]] = 0
    clip = replace(clip, confidence=confidence)
    expected, _ = fill_missing(clip)
    found = ask("repair", clip=plain(clip))
    np.testing.assert_allclose(np.array(found["confidence"]).reshape(40, 133), expected.confidence, atol=1e-5)
    np.testing.assert_allclose(np.array(found["xy"]).reshape(40, 133, 2), expected.xy, atol=0.02)


@pytest.mark.parametrize("size", [(640, 480), (400, 400), (420, 520)])
def test_a_clip_of_any_size_stands_where_the_source_person_does(ask, pipeline, size):
    clip = weather(6).resized(*size)
    confidence = clip.confidence.copy()
    confidence[:, FACE] = confidence[:, LOWER_BODY] = 0  # never seen: taken from the source person
    confidence[2] = 0  # nobody: the pose before is held
    clip = Keypoints(clip.xy * (confidence > 0)[..., None], confidence, *size, 25.0, "clip")
    found = ask("scene", clip=plain(clip), signer=SIGNER)
    order = [0, 1, 1, 3, 4, 5]
    held = replace(clip, xy=clip.xy[order], confidence=clip.confidence[order])
    held, _ = fill_missing(held)
    scene = build_scene(load_source(SIGNER), held, FRAME, pipeline.config.pixel_aspect, None, False)
    assert (scene.driving.confidence[:, FACE] > 0).all()
    seen = scene.driving.confidence > 0
    np.testing.assert_allclose(np.array(found["confidence"]).reshape(6, 133), scene.driving.confidence, atol=1e-6)
    apart = np.abs(np.array(found["xy"]).reshape(6, 133, 2) - scene.driving.xy)[seen]
    assert apart.max() < 0.01


@pytest.mark.parametrize("name", ["clip.json", "clip.pose", "openpose"])
def test_files_are_read_as_python_reads_them(ask, tmp_path, name):
    clip, place = weather(4), tmp_path / name
    write_keypoints(clip, place, format="openpose" if name == "openpose" else None)
    files = sorted(map(str, place.iterdir())) if place.is_dir() else [str(place)]
    found = ask("read", files=files, wish={})
    expected = read_keypoints(place).keypoints
    assert (found["width"], found["height"], found["fps"]) == (*expected.size, expected.fps)
    np.testing.assert_allclose(np.array(found["xy"]).reshape(4, 133, 2), expected.xy, atol=1e-3)
    np.testing.assert_allclose(np.array(found["confidence"]).reshape(4, 133), expected.confidence, atol=1e-6)


def test_numbers_that_are_none_are_read_as_in_python(ask, tmp_path):
    clip, place = weather(2), tmp_path / "clip.json"
    xy = clip.xy.astype(float)
    xy[0, 3], xy[1, 5, 1], xy[1, 7, 0] = np.nan, np.inf, -np.inf
    people = [
        {"by": 'a "NaN" of ours', "keypoints": one.tolist(), "keypoint_scores": list(scores)}
        for one, scores in zip(xy, clip.confidence.astype(float), strict=True)
    ]
    place.write_text(json.dumps([{"frame_id": t, "instances": [one]} for t, one in enumerate(people)]))
    found, expected = ask("read", files=[str(place)], wish={}), read_keypoints(place).keypoints
    assert expected.confidence[0, 3] == expected.confidence[1, 5] == expected.confidence[1, 7] == 0
    np.testing.assert_allclose(np.array(found["confidence"]).reshape(2, 133), expected.confidence, atol=1e-6)


@pytest.mark.parametrize("kind", ["openpose", "mmpose"])
@pytest.mark.parametrize("numbers", [[0, 1, 4, 5], [9, 3, 5, 4], [2, 2, 3, 4], [*range(0, 320, 40), 360]])
def test_numbers_say_when_frames_come_as_in_python(ask, tmp_path, kind, numbers):
    """Frames that are not there are time, and not left out; milliseconds are no frames."""
    clip, place = weather(len(numbers)), tmp_path / "clip"
    write_keypoints(clip, place, format="openpose")
    for old, number in zip(sorted(place.iterdir()), numbers, strict=True):
        if kind == "openpose":
            old.rename(place / f"new_{number:06d}_keypoints.json")
        else:
            old.unlink()
    files = sorted(place.iterdir())
    if kind == "mmpose":
        frames = [
            {"frame_id": number, "instances": [{"keypoints": xy.tolist(), "keypoint_scores": scores.tolist()}]}
            for number, xy, scores in zip(numbers, clip.xy, clip.confidence, strict=True)
        ]
        place = place / "clip.json"
        place.write_text(json.dumps(frames))
        files = [place]
    found, expected = ask("read", files=list(map(str, files)), wish={}), read_keypoints(place).keypoints
    assert len(found["confidence"]) == 133 * len(expected)
    np.testing.assert_allclose(np.array(found["confidence"]).reshape(-1, 133), expected.confidence, atol=1e-6)
    np.testing.assert_allclose(np.array(found["xy"]).reshape(-1, 133, 2), expected.xy, atol=1e-3)


def test_files_of_two_clips_are_refused(ask, tmp_path):
    for name in ("a", "b"):
        write_keypoints(replace(weather(2), name=name), tmp_path / name, format="openpose")
    files = [str(path) for name in ("a", "b") for path in (tmp_path / name).iterdir()]
    found = ask("read", files=files, wish={})
    assert found["message"] == "files of 2 clips (a, b); give those of one"


@pytest.mark.parametrize("scores", ["all", "none", "null"])
def test_marks_of_missing_points_are_those_of_python(ask, tmp_path, scores):
    """A place of (0, 0) is one whatever its score, (-1, -1) where there are no scores, and null is no score."""
    clip, place = weather(3), tmp_path / "clip.json"
    frames = []
    for t in range(3):
        xy, confidence = clip.xy[t].copy(), np.maximum(clip.confidence[t], 0.4).tolist()
        xy[91:95], xy[112:115] = 0, -1
        one: dict[str, Any] = {"keypoints": xy.tolist(), "keypoint_scores": confidence}
        if scores == "none":
            del one["keypoint_scores"]
        elif scores == "null":
            one["keypoint_scores"][7] = None
        frames.append({"frame_id": t, "instances": [one]})
    place.write_text(json.dumps(frames))
    found, expected = ask("read", files=[str(place)], wish={}), read_keypoints(place).keypoints
    assert expected.confidence[:, 91:95].max() == 0
    np.testing.assert_allclose(np.array(found["confidence"]).reshape(3, 133), expected.confidence, atol=1e-6)
    np.testing.assert_allclose(np.array(found["xy"]).reshape(3, 133, 2), expected.xy, atol=1e-3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not keypoints", "neither JSON nor .pose"),
        (b'[{"instances": [{"keypoints": [[1, 2]], "keypoint_scores": [1]}]}]', "1 keypoints per person"),
        (b"{}", "no MMPose or OpenPose keypoints"),
        (b'{"people": [{"pose_keypoints_2d": [1, 2]}]}', "2 numbers in pose_keypoints_2d"),
        ((EXAMPLES / "weather.pose").read_bytes()[:20_000], "cut or damaged"),
        (b'[{"instances": []}]', "no confident keypoint"),
        (b'[{"instances": [null]}]', "no MMPose or OpenPose keypoints"),
        (b'[{"instances": [{"keypoints": [' + b"1," * 132 + b"1]}]}]", "not as MMPose or OpenPose write"),
        (b'{"people": [null]}', "not as MMPose or OpenPose write"),
        (b'{"people": ["NaN, Infinity"], NaN}', "neither JSON nor .pose"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(ask, tmp_path, content, said):
    (tmp_path / "clip.json").write_bytes(content)
    found = ask("read", files=[str(tmp_path / "clip.json")], wish={})
    assert found["error"] == "BadFile"
    assert said in found["message"]


def _pose_header(rate_and_frames: bytes, people: int, width: int = 3) -> tuple[bytes, int]:
    """The example's header with another body: its bytes to the rate, and the bytes of a person in a frame."""
    from pose_format.pose_header import PoseHeader
    from pose_format.utils.reader import BufferReader

    content = (EXAMPLES / "weather.pose").read_bytes()
    reader = BufferReader(content)
    header = PoseHeader.read(reader)
    start = struct.pack("<f", 0.1 if len(rate_and_frames) == 4 else 0.2) + content[4 : reader.read_offset]
    if width == 2:
        start = start.replace(b"\x03\x00XYC", b"\x02\x00XC")
    points = sum(len(component.points) for component in header.components)
    return start + rate_and_frames + struct.pack("<H", people), 4 * points * width


@pytest.mark.parametrize(
    ("version", "frames", "people", "there", "width", "said"),
    [
        (0.1, 5, 1, 4, 3, "cut or damaged"),
        (0.1, 5, 1, 5, 3, None),
        (0.2, 2**32 - 1, 0, 0, 3, "without people"),
        (0.2, 1, 101, 101, 3, "101 people"),
        (0.2, 20_001, 1, 1, 3, "20001 frames"),
        (0.2, 2, 1, 2, 2, "without people, or without x, y"),
    ],
)
def test_a_pose_header_is_not_believed(ask, tmp_path, version, frames, people, there, width, said):
    body = struct.pack("<HH", 25, frames) if version == 0.1 else struct.pack("<fI", 25, frames)
    start, each = _pose_header(body, people, width)
    (tmp_path / "clip.pose").write_bytes(start + struct.pack("<f", 0.5) * (each * there // 4))
    found = ask("read", files=[str(tmp_path / "clip.pose")], wish={})
    if said is None:
        assert "error" not in found, found
    else:
        assert found["error"] == "BadFile"
        assert said in found["message"]


@pytest.mark.parametrize(
    ("own", "wished", "taken"),
    [(30, None, 30), (30, 50, 30), (0, 50, 50), (-3, 50, 50), (-3, None, None), (0, 2000, None), (np.inf, None, None)],
)
def test_a_rate_is_the_files_and_a_possible_one(ask, tmp_path, own, wished, taken):
    """What stands in the page's field is for files that do not say their rate, and may be left from another one."""
    start, each = _pose_header(struct.pack("<fI", own, 2), 1)
    (tmp_path / "clip.pose").write_bytes(start + struct.pack("<f", 0.5) * (each * 2 // 4))
    found = ask("read", files=[str(tmp_path / "clip.pose")], wish={"fps": wished})
    if taken is None:
        assert found["error"] == "BadFile"
        assert "frames a second; a rate is 0.001 to 1000" in found["message"]
    else:
        assert found["fps"] == taken


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("camera", "taken"),
    [((258, 260), (210, 260)), ((258, 400), (512, 512)), ((344, 260), (640, 480)), ((460, 260), (1280, 720))],
)
def test_fractions_get_the_frame_that_python_gives_them(ask, tmp_path, camera, taken, signed):
    """Such as those of OpenPose's --keypoint_scale 3 and 4: a face has its usual shape in it."""
    clip, place = weather(3, FRAME), tmp_path / "clip.json"
    xy = (clip.xy * (258 / 210, 1) + ((camera[0] - 258) / 2, 0)) / camera  # the example is squeezed
    people = [
        {"keypoints": one.tolist(), "keypoint_scores": scores.tolist()}
        for one, scores in zip(2 * xy - 1 if signed else xy, clip.confidence, strict=True)
    ]
    place.write_text(json.dumps([{"frame_id": t, "instances": [one]} for t, one in enumerate(people)]))
    found, expected = ask("read", files=[str(place)], wish={}), read_keypoints(place).keypoints
    assert (found["width"], found["height"]) == expected.size == taken
    np.testing.assert_allclose(np.array(found["xy"]).reshape(3, 133, 2), expected.xy, atol=1e-3)


@pytest.mark.parametrize("scale", [1, 100, 1e6])
def test_what_pose_format_has_normalised_stands_where_python_places_it(ask, tmp_path, scale):
    from pose_format import Pose

    clip, place = weather(4), tmp_path / "clip.pose"
    write_keypoints(clip, place)
    pose = Pose.read(place.read_bytes())
    with place.open("wb") as file:
        pose.normalize(scale_factor=scale).write(file)
    found, expected = ask("read", files=[str(place)], wish={}), read_keypoints(place).keypoints
    assert (found["width"], found["height"]) == expected.size == clip.size
    seen = expected.confidence > 0
    np.testing.assert_allclose(np.array(found["xy"]).reshape(4, 133, 2)[seen], expected.xy[seen], atol=1e-3)
    assert any("placed as a PHOENIX14T signer" in line for line in found["warnings"])


@pytest.mark.parametrize("name", ["clip.pose", "clip.json"])
@pytest.mark.parametrize("kind", ["part of a clip", "around the hips", "from -1 to 1", "one stray frame"])
def test_points_that_lie_in_no_frame_are_told_as_in_python(ask, tmp_path, name, kind):
    clip, place = weather(5, FRAME), tmp_path / name
    ends = clip.xy[:, SHOULDERS]
    width = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1).mean()
    xy = {
        "part of a clip": lambda: (clip.xy - ends.mean((0, 1))) / width + 0.1,
        "around the hips": lambda: clip.xy - clip.xy[:, HIPS].mean((0, 1)),
        "from -1 to 1": lambda: 2 * clip.xy / clip.size - 1,
        "one stray frame": lambda: (clip.xy - ends.mean((0, 1))) * [[[1]], [[1]], [[9]], [[1]], [[1]]],
    }[kind]()
    write_keypoints(replace(clip, xy=xy), place)
    found = ask("read", files=[str(place)], wish={"width": 210, "height": 260})
    read = read_keypoints(place, frame_size=FRAME)
    assert any("placed as a PHOENIX14T" in line for line in found["warnings"]) is not read.placed
    seen = read.keypoints.confidence > 0
    xy = np.array(found["xy"]).reshape(5, 133, 2)
    np.testing.assert_allclose(xy[seen], read.keypoints.xy[seen], rtol=1e-4, atol=1e-2)


def test_a_body_without_legs_is_read_as_in_python(ask, tmp_path):
    from pose_format import Pose
    from pose_format.utils.generic import pose_hide_legs

    place = tmp_path / "clip.pose"
    write_keypoints(weather(3), place)
    pose = pose_hide_legs(Pose.read(place.read_bytes()), remove=True)
    with place.open("wb") as file:
        pose.write(file)
    found, expected = ask("read", files=[str(place)], wish={}), read_keypoints(place).keypoints
    assert (expected.confidence[:, list(SHOULDERS)] > 0).all()
    np.testing.assert_allclose(np.array(found["confidence"]).reshape(3, 133), expected.confidence, atol=1e-6)
    np.testing.assert_allclose(np.array(found["xy"]).reshape(3, 133, 2), expected.xy, atol=1e-3)


def test_alphapose_in_a_pose_file_has_its_body(ask, tmp_path):
    import io

    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    sizes = {"BODY_136": 26, "FACE_136": 68, "LEFT_HAND_136": 21, "RIGHT_HAND_136": 21}
    parts = [
        PoseHeaderComponent(name, [str(k) for k in range(size)], [], [], "XYC") for name, size in sizes.items()
    ]  # fmt: skip
    start, place = io.BytesIO(), tmp_path / "clip.pose"
    PoseHeader(0.2, PoseHeaderDimensions(210, 260, 0), parts).write(start)
    points = np.arange(1, 2 * 136 + 1, dtype="<f4") * 0.75
    place.write_bytes(start.getvalue() + struct.pack("<fIH", 25, 1, 1) + points.tobytes() + b"\0\0\x80\x3f" * 136)
    found, expected = ask("read", files=[str(place)], wish={}), read_keypoints(place).keypoints
    assert expected.confidence[0].all()
    np.testing.assert_array_equal(np.array(found["confidence"]).reshape(1, 133), expected.confidence)
    np.testing.assert_allclose(np.array(found["xy"]).reshape(1, 133, 2), expected.xy, atol=1e-3)


@pytest.mark.parametrize(("missed", "taken"), [(1, 0), (60, 10)])
def test_one_person_is_followed_through_frames_that_miss_them(ask, tmp_path, missed, taken):
    """The other one alone is somebody else, but is taken after a long absence: Python's tracks end, too."""
    clip = weather(1)

    def person(shift: float) -> dict[str, Any]:
        return {
            "keypoints": (clip.xy[0] + [shift, 0]).tolist(), "keypoint_scores": (clip.confidence[0] * 0.9).tolist()
        }  # fmt: skip

    frames = [[person(0), person(600)], *[[person(600)]] * missed, [person(0), person(600)]]
    (tmp_path / "clip.json").write_text(json.dumps([{"instances": people} for people in frames]))
    found = ask("read", files=[str(tmp_path / "clip.json")], wish={"width": 900, "height": 260})
    seen = np.array(found["confidence"]).reshape(-1, 133).max(1) > 0
    assert [seen[0], seen[-1]] == [True, True]
    assert seen[1:-1].sum() == taken
    if missed == 1:
        assert np.array(found["xy"]).reshape(-1, 133, 2)[-1, :, 0].max() < 400


@pytest.mark.parametrize("odd", ["a shoulder is cut off", "nobody at first", "all are unsure"])
def test_the_one_who_is_seen_best_is_followed(ask, tmp_path, odd):
    """A missing shoulder's (0, 0) is no end of a width, and a person without a point is nobody."""
    clip = weather(1)

    def person(shift: float, share: float) -> dict[str, Any]:
        points = np.concatenate([clip.xy[0] + [shift, 0], share * clip.confidence[0][:, None]], -1)
        if odd == "a shoulder is cut off" and shift:
            points[6] = 0
        return {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist()}

    sure = 0.3 if odd == "all are unsure" else 1
    frames = [[person(1200, 0.6 * sure), person(0, sure)]] * 3
    if odd == "nobody at first":
        frames = [[person(0, 0)], *frames]
    (tmp_path / "clip.json").write_text(json.dumps([{"instances": people} for people in frames]))
    found = ask("read", files=[str(tmp_path / "clip.json")], wish={"width": 1500, "height": 260})
    xy, seen = (np.array(found[name]).reshape(len(frames), 133, -1) for name in ("xy", "confidence"))
    assert (seen[-3:].max((1, 2)) > 0).all()
    assert xy[-3:, :, 0].max() < 400


def test_what_the_worker_says_of_a_render_has_its_number(ask, tmp_path):
    (tmp_path / "ort").mkdir()
    (tmp_path / "ort" / "ort.wasm.min.mjs").write_text("export const env = { wasm: {} };")
    write_keypoints(weather(2), tmp_path / "clip.pose")
    said = ask("worker", runtime=str(tmp_path), clip=str(tmp_path / "clip.pose"))
    assert [line for line in said if line.endswith("7")] in (["frame 7"], [])
    said = said[said.index("frame 8") :]
    assert said == ["frame 8", "frame 8", "done 8", "error 9", "frame 11", "done 11"]


def test_a_rate_that_is_typed_after_its_file_is_used(ask):
    """But not where the file says its own: what was rendered stays."""
    assert ask("page") == [["a.json", None], ["a.json", 50]]


# ------------------------------------------------------------------------------------------------ what is written
def test_weights_come_back_to_half_a_step(ask, pipeline):
    found = np.array(ask("weights", graph="denoiser"), np.float32)
    weight = pipeline.denoiser.unet.conv_out.weight.detach().numpy()
    steps = np.abs(weight).max((1, 2, 3), keepdims=True) / 127
    flat = weight.ravel()
    at = next(k for k in range(len(found) - flat.size) if np.abs(found[k : k + flat.size] - flat).max() <= steps.max())
    assert (np.abs(found[at : at + flat.size].reshape(weight.shape) - weight) <= 0.51 * steps).all()


def test_channels_that_fill_up_change_nothing(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(5, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(6, 4, 1))
    torch.onnx.export(network.eval(), (torch.zeros(1, 5, 8, 8),), str(tmp_path / "a.onnx"), dynamo=False)
    graph, given = onnx.load(tmp_path / "a.onnx"), {}
    web._fill_channels(graph)
    kernels = [tensor.dims[1] for tensor in graph.graph.initializer if len(tensor.dims) == 4]
    assert sorted(kernels) == [8, 8]
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    given[session.get_inputs()[0].name] = torch.randn(1, 5, 8, 8).numpy()
    expected = network(torch.from_numpy(next(iter(given.values())))).detach().numpy()
    np.testing.assert_allclose(session.run(None, given)[0], expected, atol=1e-5)


def test_a_machine_that_computes_something_else_is_found_out(ask):
    assert ask("prove", off=0) is None
    assert "denoiser computes prediction" in ask("prove", off=100)


def test_the_sampler_as_numbers_is_the_sampler(pipeline):
    steps = web._steps(pipeline)["steps"]
    scheduler = pipeline.scheduler
    latents, prediction = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    expected = scheduler.step(prediction, torch.tensor(steps[0]["timestep"]), latents).prev_sample
    torch.testing.assert_close(steps[0]["keep"] * latents + steps[0]["take"] * prediction, expected)


def test_a_model_that_the_page_cannot_drive_is_refused():
    with pytest.raises(Unsupported) as raised:
        web._check_model(make_pipeline(cross_view=None, image_level=False))
    assert raised.value.subject == "unnamed"


def test_without_npm_or_a_copy_of_the_runtime_nothing_is_written(tmp_path, monkeypatch):
    with pytest.raises(NotFound):
        web._place_runtime(tmp_path, tmp_path / "ort")
    monkeypatch.setattr(web.shutil, "which", lambda name: None)
    with pytest.raises(NotInstalled) as raised:
        web._place_runtime(None, tmp_path / "ort")
    assert raised.value.subject == "npm"
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------- in a browser
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def page_folder(browser, tmp_path_factory) -> Path:
    """The page of `mini`."""
    folder = tmp_path_factory.mktemp("page") / "page"
    command = ["export", "mini", "--web", str(folder), "--json"]
    if given := os.environ.get("SIGNGEN_ORT_WEB"):
        command += ["--runtime", given]
    answer = CliRunner().invoke(main, command)
    if isinstance(answer.exception, SystemExit) and answer.exit_code and web.RUNTIME in answer.stderr.splitlines()[-1]:
        pytest.skip(f"{web.RUNTIME} cannot be had: set SIGNGEN_ORT_WEB to a folder with it")
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.stdout)
    assert said["bytes"] <= web.LARGEST
    return folder


class _Handler(http.server.SimpleHTTPRequestHandler):
    """As `python -m http.server`, in silence."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(page_folder) -> Iterator[str]:
    handler = functools.partial(_Handler, directory=str(page_folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _wait(page: Any, condition: str) -> None:
    """Until a condition holds; the page forbids what playwright's own waiting does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if page.evaluate(f"() => Boolean(globalThis.signgen?.error || (globalThis.signgen && {condition}))"):
            assert page.evaluate("() => signgen.error") is None
            return
        time.sleep(0.1)
    pytest.fail(f"{condition} does not become true: {page.text_content('#status')}")


@pytest.mark.timeout(900)
def test_chromium_paints_what_torch_paints(browser, address, tmp_path, capsys):
    clip = read_keypoints(EXAMPLES / "weather.pose").keypoints[:RENDERED]
    write_keypoints(clip, tmp_path / "clip.pose")
    pipeline = SignGenPipeline.from_pretrained("mini", device="cpu", dtype="float32")
    config = pipeline.config
    scene = build_scene(load_source(SIGNER), clip, pipeline.frame_size, config.pixel_aspect, None, False)
    settings = RenderSettings(window=config.window, overlap=config.overlap)
    expected = np.concatenate([one.frames for one in render_windows(pipeline, scene, range(len(clip)), settings)])
    asked: list[str] = []
    complaints: list[str] = []
    with browser.new_context(accept_downloads=True) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}index.html?device=wasm&alone")
        _wait(page, "signgen.ready")
        page.set_input_files("#file", tmp_path / "clip.pose")
        _wait(page, "signgen.clip")
        page.select_option("#signer", SIGNER)
        before, begun = _idle(), time.monotonic()
        page.click("#start")
        _wait(page, "signgen.first")
        spare = (_idle() - before) / (time.monotonic() - begun)
        _wait(page, "signgen.done")
        first, total = page.evaluate("() => [signgen.first - signgen.asked, signgen.last - signgen.asked]")
        packed = page.evaluate(
            "() => signgen.frames.map((one) => btoa(Array.from(one, (byte) => String.fromCharCode(byte)).join('')))"
        )
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(tmp_path / "video.webm")
    frames = np.stack([np.frombuffer(base64.b64decode(one), np.uint8).reshape(expected.shape[1:]) for one in packed])
    error = ((frames.astype(np.float64) - expected) ** 2).mean((1, 2, 3))
    psnr = 10 * np.log10(255**2 / np.maximum(error, 1e-9))
    with capsys.disabled():
        pace = 1000 * len(frames) / total
        print(f"\nChromium, WebAssembly, one thread: PSNR {psnr.min():.1f} to {psnr.max():.1f} dB,", end=" ")
        print(f"first frame after {first / 1000:.1f} s, {pace:.2f} frames/s")
    assert psnr.min() > LEAST_PSNR
    video = probe(tmp_path / "video.webm")
    assert (video.width, video.height) == FRAME
    assert complaints == []
    assert all(url.startswith((address, "blob:", "data:")) for url in asked), asked
    if spare > 0.3:  # a core stood idle meanwhile: the page's one thread had its own
        assert first / 1000 < FIRST_FRAME


def _idle() -> float:
    """Seconds of cores that nobody took, since the machine began."""
    stat = Path("/proc/stat")
    return int(stat.read_text().split()[4]) / os.sysconf("SC_CLK_TCK") if stat.is_file() else 0.0


@pytest.mark.timeout(600)
def test_the_page_gets_threads_from_a_plain_server_and_names_a_bad_file(browser, address, tmp_path):
    playwright_api = pytest.importorskip("playwright.sync_api")
    (tmp_path / "bad.json").write_text("{}")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}index.html?device=wasm", wait_until="commit")  # it may load itself again at any time
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:  # the page loads itself again, under its service worker
            with contextlib.suppress(playwright_api.Error):
                if page.evaluate("() => crossOriginIsolated && globalThis.signgen?.ready === true"):
                    break
            time.sleep(0.2)
        assert page.evaluate("() => signgen.threads") > 1 or os.cpu_count() == 1
        page.set_input_files("#file", tmp_path / "bad.json")
        while page.evaluate("() => signgen.error") is None and time.monotonic() < end:
            time.sleep(0.1)
        assert "no MMPose or OpenPose keypoints" in page.text_content("#status")


# A worker that keeps what it is sent, and says what the test has it say.
_WORKER = """
globalThis.Worker = class {
  constructor() { globalThis.worker = this; this.sent = []; }
  postMessage(message) { this.sent.push(message); }
};
globalThis.tell = (data) => worker.onmessage({ data });
globalThis.paint = (index, number) => tell({ type: "frame", number, index, pixels: new Uint8Array(48).fill(index) });
globalThis.given = () => tell({
  type: "clip", length: 3, fps: 10, width: 4, height: 4, format: "test", warnings: [],
});
"""
_READY = {
    "type": "ready",
    "engine": "none",
    "threads": 1,
    "size": [4, 4],
    "aspect": 1,
    "signers": ["alma"],
    "model": "m",
}


@contextlib.contextmanager
def _page_alone(browser: Any, **context: Any) -> Iterator[Any]:
    """The page without a model, ready, with a clip."""
    handler = functools.partial(_Handler, directory=str(web.PAGE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser.new_context(**context) as opened:
            page = opened.new_page()
            page.wrong = []
            page.on("pageerror", lambda error: page.wrong.append(str(error)))
            page.add_init_script(_WORKER)
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html?alone")
            page.evaluate("ready => (tell(ready), given())", _READY)
            yield page
            assert page.wrong == []
        server.shutdown()


def _until(page: Any, condition: str) -> None:
    end = time.monotonic() + 20
    while not page.evaluate(f"() => Boolean({condition})"):
        assert time.monotonic() < end, f"{condition} does not become true: {page.text_content('#status')}"
        time.sleep(0.05)


def test_what_a_stopped_render_still_says_is_dropped(browser):
    with _page_alone(browser) as page:
        page.click("#start")
        page.evaluate("() => (paint(0, 1), signgen.frames.length)")
        page.click("#halt")
        page.evaluate("() => (paint(1, 1), tell({ type: 'done', number: 1 }))")
        page.evaluate("() => tell({ type: 'error', task: 'render', number: 1, message: 'x' })")
        assert page.text_content("#said") == "Stopped after 1 frames."
        assert page.evaluate("() => [signgen.frames.length, signgen.done, signgen.error]") == [1, False, None]
        page.click("#start")
        page.evaluate("() => paint(0, 2)")
        page.set_input_files("#file", {"name": "a.json", "mimeType": "text/plain", "buffer": b"{}"})
        page.evaluate("() => paint(1, 2)")
        _until(page, "worker.sent.at(-1).type === 'read'")
        assert page.evaluate("() => signgen.frames.length") == 0


def test_what_cannot_be_fetched_or_read_is_said(browser):
    with _page_alone(browser) as page:
        page.click("#example")  # the package's page has none
        _until(page, "signgen.error")
        assert page.text_content("#wrong") == "the example cannot be loaded: the server answers 404"
        page.evaluate("() => given()")
        page.evaluate(
            """() => {
              const files = new DataTransfer();
              files.items.add(new File(["{}"], "folder"));
              const broken = Object.assign(files.files[0], { arrayBuffer: () => Promise.reject(new Error("gone")) });
              const event = new Event("drop");
              event.dataTransfer = { files: [broken] };
              document.getElementById("drop").dispatchEvent(event);
            }"""
        )
        _until(page, "signgen.error")
        assert page.text_content("#wrong") == "folder cannot be read: give files, no folder"


def _rendered(page: Any) -> None:
    page.click("#start")
    page.evaluate("() => ([0, 1, 2].forEach((index) => paint(index, 1)), tell({ type: 'done', number: 1 }))")


def test_a_video_that_was_hidden_or_left_is_not_saved(browser):
    with _page_alone(browser) as page:
        _rendered(page)
        page.evaluate(
            """() => {
              signgen.clip.fps = 0.5;
              document.getElementById("save").click();
              Object.defineProperty(document, "hidden", { value: true, configurable: true });
              document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )
        _until(page, "signgen.error")
        assert "the page was hidden" in page.text_content("#wrong")
        page.evaluate("() => (Object.defineProperty(document, 'hidden', { value: false }), save.click())")
        assert page.text_content("#said") == "Recording: the video plays once."
        page.set_input_files("#file", {"name": "a.json", "mimeType": "text/plain", "buffer": b"{}"})
        _until(page, "signgen.error?.includes('another file')")
        assert page.evaluate("() => signgen.video") is None
        assert page.is_disabled("#save")


def test_a_video_is_called_after_whom_it_shows(browser):
    with _page_alone(browser) as page:
        _rendered(page)
        page.evaluate("() => (signer.add(new Option('Bela', 'bela')), (signer.value = 'bela'))")
        with page.expect_download() as download:
            page.click("#save")
        assert download.value.suggested_filename == "alma_generated.webm"


def test_progress_is_not_read_out_and_movement_can_be_ended(browser):
    with _page_alone(browser) as page:
        roles = [page.get_attribute(f"#{name}", "role") for name in ("said", "wrong", "progress", "canvas", "picture")]
        assert roles == ["status", "alert", None, "img", "img"]
        page.click("#start")
        page.evaluate("() => paint(0, 1)")
        assert page.text_content("#said") == "Rendering"
        assert "Frame 1 of 3" in page.text_content("#progress")
        page.evaluate("() => (paint(1, 1), paint(2, 1), tell({ type: 'done', number: 1 }))")
        assert page.text_content("#pause") == "Pause"
        page.click("#pause")
        assert page.text_content("#pause") == "Play"
    with _page_alone(browser, reduced_motion="reduce") as page:
        _rendered(page)
        assert page.text_content("#pause") == "Play"
        page.click("#pause")
        assert page.text_content("#pause") == "Pause"


def test_a_page_whose_storage_is_closed_starts(browser):
    with browser.new_context() as context:
        page = context.new_page()
        page.add_init_script(_WORKER)
        page.add_init_script(
            "Object.defineProperty(globalThis, 'sessionStorage', { get() { throw new DOMException('closed'); } });"
        )
        page.route("**/*", lambda route: route.fulfill(path=web.PAGE / route.request.url.rsplit("/", 1)[1]))
        page.goto("https://page.example/index.html")
        _until(page, "globalThis.worker?.sent[0].type === 'load'")


def test_a_website_is_not_replaced_by_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "load_checked", lambda model, folder, allowed: pytest.fail("a model is loaded first"))
    for name, content in {"index.html": "mine", "model.json": '{"kind": "car"}'}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(NotWritable) as raised:
            web.export_web("tiny", tmp_path)
        assert "no page of signgen's" in str(raised.value)
    assert (tmp_path / "index.html").read_text() == "mine"


def test_a_page_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "LARGEST", 10)
    monkeypatch.setattr(web, "_place_runtime", lambda given, folder: "1")
    monkeypatch.setattr(web, "load_checked", lambda model, folder, allowed: make_pipeline(FRAME, refined=True))
    with pytest.raises(RunError) as raised:
        web.export_web("tiny", tmp_path / "page")
    assert raised.value.subject == "unnamed"
    assert list(tmp_path.iterdir()) == []
