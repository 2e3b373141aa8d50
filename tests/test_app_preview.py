"""The page's live frames are the video's frames: same shape, same place of the signer, same surroundings."""

from __future__ import annotations

import base64
from concurrent.futures import Future
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from signgen import SignGenPipeline
from signgen.app.clips import EXAMPLES, Clip, open_clip
from signgen.app.context import Limits, open_workspace
from signgen.app.jobs import JobQueue
from signgen.app.live import LARGEST_SIDE, LiveStream
from signgen.app.model import load_in_background
from signgen.app.rendering import Order, render_job
from signgen.keypoints import Keypoints, read_keypoints
from signgen.keypoints.keypoint_files import keypoint_bytes
from signgen.rendering import RenderResult, RenderSettings
from signgen.rendering.source import load_source
from signgen.video import read_frames

FRAMES = 5


@pytest.fixture(scope="module")
def driving() -> Keypoints:
    return read_keypoints(EXAMPLES[0].path).keypoints[:FRAMES]


@pytest.fixture(scope="module")
def model() -> Future[SignGenPipeline]:
    """The packaged one: what an untrained one paints is noise, which no two ways of scaling treat alike."""
    return load_in_background(lambda: SignGenPipeline.from_pretrained("mini"))


def wide(keypoints: Keypoints) -> Keypoints:
    """The signer at the left of a large, broad frame."""
    return keypoints.scaled(3, 3).shifted(40, 60).with_size(1280, 900)


def rendered(
    model: Future[SignGenPipeline], clip: Keypoints, folder: Path, **settings: object
) -> tuple[RenderResult, np.ndarray]:
    """What a render on the page gives, and the live frames (N,h,w,3) that it showed."""
    stream, job = LiveStream(), JobQueue().enter("somebody")
    order = Order(Clip("clip", clip, "npz"), load_source("alma"), RenderSettings(**settings), folder)
    done, _ = render_job(order, model, stream, Limits())(job, lambda event: None)
    pictures, over = stream.since(0)
    assert over
    return done, np.stack([np.asarray(Image.open(BytesIO(base64.b64decode(p.split(",")[1])))) for p in pictures])


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("place", [lambda clip: clip, wide], ids=["same shape", "large and broad"])
def test_live_frames_are_the_videos(model, driving, tmp_path, place, align):
    clip = place(driving)
    done, live = rendered(model, clip, tmp_path, align=align)
    video = np.stack(list(read_frames(done.output)))
    assert video.shape[2:0:-1] == clip.size
    assert len(live) == len(video) == FRAMES
    assert live.shape[2:0:-1] == (clip.size if place is not wide else (LARGEST_SIDE, LARGEST_SIDE * 900 // 1280))
    scaled = np.stack([np.asarray(Image.fromarray(frame).resize(live.shape[2:0:-1])) for frame in video])
    assert np.abs(scaled.astype(int) - live).mean() < 4  # grey levels; two encoders are between them
    turned = scaled[:, :, ::-1]
    assert np.abs(turned.astype(int) - live).mean() > 8, "the comparison can tell where the signer stands"


def test_a_part_shows_its_own_frames(model, driving, tmp_path):
    done, live = rendered(model, driving, tmp_path, frames=slice(2, 4))
    assert len(live) == done.frames == 2


def test_a_clip_without_a_place_says_so_and_the_first_of_several_is_taken():
    example = read_keypoints(EXAMPLES[0].path).keypoints
    with open_workspace() as place:
        place = place.visitor("somebody")
        path = place.folder() / "dev.skels"
        path.write_bytes(b"".join(keypoint_bytes(example[:frames], "skels")[0] for frames in (42, 7, 9)))
        clip = open_clip([path], place, Limits())
    assert not clip.placed
    assert len(clip.keypoints) == 42
    assert any("holds 3 clips" in warning for warning in clip.warnings)
    assert replace(clip, signer="bela").placed is False
