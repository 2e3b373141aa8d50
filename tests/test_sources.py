"""The source: an image, a video's first frame, or a built-in signer."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tiny_pipeline import picture, signing

from signgen.errors import InputError
from signgen.keypoints import write_keypoints
from signgen.rendering import RenderSettings, plan_render, source
from signgen.rendering.source import builtin_names, load_source
from signgen.video import VideoWriter


@pytest.fixture
def signers(tmp_path, monkeypatch):
    """Two built-in signers, ``anna`` and ``ben``."""
    folder = tmp_path / "signers"
    folder.mkdir()
    clip = signing(1)
    points = np.concatenate([clip.xy, clip.confidence[..., None]], axis=-1)
    for name in ("ben", "anna"):
        Image.fromarray(picture()).save(folder / f"{name}.png")
        np.savez(folder / f"{name}.npz", keypoints=points)
    monkeypatch.setattr(source, "SIGNERS", folder)
    return folder


def test_the_first_signer_is_the_default(signers):
    assert builtin_names() == ["anna", "ben"]
    assert load_source().name == "anna"


def test_a_signer_comes_with_keypoints(signers):
    source = load_source("ben")
    assert (source.kind, source.name, source.size) == ("signer", "ben", (42, 52))
    assert np.array_equal(source.image, picture())
    assert np.array_equal(source.keypoints.xy, signing(1).xy)


def test_an_image(tmp_path):
    path = tmp_path / "me.png"
    Image.fromarray(picture()).save(path)
    source = load_source(path)
    assert (source.kind, source.keypoints) == ("image", None)
    assert np.array_equal(source.image, picture())


def test_a_videos_first_frame(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", (42, 52), 25) as writer:
        writer.write(picture())
        writer.write(np.zeros_like(picture()))
    source = load_source(tmp_path / "v.mp4")
    assert source.kind == "video"
    assert np.abs(source.image.astype(int) - picture()).mean() < 12


@pytest.mark.parametrize("frames", [1, 2])
def test_keypoints_without_size_and_rate_have_those_of_the_source_video(tmp_path, frames):
    """However many of its frames are shown to the model: 25 frames a second would be another speed."""
    with VideoWriter(tmp_path / "v.mp4", (420, 520), 50) as writer:
        for _ in range(3):
            writer.write(picture((420, 520)))
    write_keypoints(signing(3, (420, 520)), tmp_path / "person.npz")
    write_keypoints(signing(4), tmp_path / "clip.json")
    shown = {"source": tmp_path / "v.mp4", "source_keypoints": tmp_path / "person.npz", "source_frames": frames}
    plan = plan_render(RenderSettings(), tmp_path / "clip.json", output=tmp_path / "out.mp4", **shown)
    assert (plan.clip.fps, plan.clip.size) == (50, (420, 520))


def test_a_folder_of_frames_is_a_video(tmp_path):
    with VideoWriter(tmp_path / "frames", (42, 52), 25) as writer:
        writer.write(picture())
        writer.write(np.zeros_like(picture()))
    source = load_source(tmp_path / "frames")
    assert source.kind == "video"
    assert np.array_equal(source.image, picture())


def test_source_keypoints_are_given_in_the_sources_frame(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "me.png")
    write_keypoints(signing(3), tmp_path / "points.npz")
    source = load_source(tmp_path / "me.png", tmp_path / "points.npz")
    assert len(source.keypoints) == 1
    assert np.allclose(source.keypoints.xy, signing(1).xy, atol=1e-3)


def test_an_unknown_name_lists_the_signers(signers):
    with pytest.raises(InputError, match="anna, ben"):
        load_source("charlie")


def test_without_signers_an_image_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "SIGNERS", tmp_path)
    with pytest.raises(InputError, match="no built-in signers"):
        load_source()


@pytest.mark.parametrize("size", [(1, 1), (20, 200)])
def test_tiny_pictures_are_refused(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "me.png")
    with pytest.raises(InputError, match=f"{size[0]}x{size[1]}"):
        load_source(tmp_path / "me.png")


@pytest.mark.parametrize("name", ["broken.png", "broken.jpg", "broken.mp4", "notes.txt"])
def test_what_is_no_picture_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no picture at all")
    with pytest.raises(InputError, match=name):
        load_source(tmp_path / name)
