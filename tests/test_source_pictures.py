"""Pictures of people as they come: turned, transparent, grey, from the side, with any keypoints or none."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from signgen.cli import main
from signgen.commands.options import RATE
from signgen.errors import BadValue, NotInstalled
from signgen.extraction import loading
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.orientation import View
from signgen.keypoints.repair.align import align_to
from signgen.keypoints.skeleton import HANDS, SHOULDERS
from signgen.package import EXAMPLES, SIGNERS
from signgen.rendering.compositing import Compositor
from signgen.rendering.framing import Framing
from signgen.rendering.scene import build_scene
from signgen.rendering.source import builtin_names, load_source

SHARED = Path(os.environ.get("SIGNGEN_SHARED", "/absent"))
RUNNER = CliRunner()
needs_cases = pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="SIGNGEN_SHARED does not lead to the cases")


@pytest.fixture
def bela(tmp_path) -> tuple[Path, Keypoints]:
    """A picture of the signer `bela`, 210x260, and where she stands."""
    (tmp_path / "bela.png").write_bytes((SIGNERS / "bela.png").read_bytes())
    return tmp_path / "bela.png", load_source("bela").keypoints


def kept_turned(path: Path, orientation: int) -> Path:
    """The picture as a camera held upright stores it: turned back, with a tag that says how to show it."""
    image = Image.open(path).convert("RGB")
    image = image.rotate({6: 90, 3: 180, 8: 270}[orientation], expand=True)  # counter-clockwise
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = path.with_name(f"turned{orientation}.png")
    image.save(out, exif=exif)
    return out


# --- EXIF, transparency -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("orientation", "degrees"), [(6, 90), (3, 180), (8, 270)])
def test_a_tag_of_orientation_is_followed_and_said(bela, tmp_path, orientation, degrees):
    turned = kept_turned(bela[0], orientation)
    source = load_source(turned)
    assert np.array_equal(source.image, load_source(bela[0]).image)
    assert source.notes == (f"{turned} is turned by {degrees} degrees clockwise, as its EXIF tag says",)


@pytest.mark.parametrize("orientation", [6, 3, 8])
@pytest.mark.parametrize("says_size", [True, False])
def test_keypoints_of_the_stored_picture_are_turned_with_it(bela, tmp_path, orientation, says_size):
    path, points = bela
    turned = kept_turned(path, orientation)
    back = {6: 270, 3: 180, 8: 90}[orientation]
    stored, _ = View(rotate=back).of(points)
    name = tmp_path / ("a.npz" if says_size else "a.json")
    write_keypoints(stored, name)
    source = load_source(turned, name)
    assert np.abs(source.keypoints.xy - points.xy).max() < 0.01
    assert source.keypoints.size == (210, 260)
    assert any("its points were turned with it" in note for note in source.notes)
    write_keypoints(points, name)
    upright = load_source(turned, name)
    assert np.abs(upright.keypoints.xy - points.xy).max() < 0.01
    assert not any("turned with it" in note for note in upright.notes)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_photo_without_a_tag_is_said_and_turned_by_the_option(bela, tmp_path, degrees):
    path, points = bela
    Image.open(path).convert("RGB").rotate(-degrees, expand=True).save(tmp_path / "lies.png")
    lying, _ = View(rotate=degrees).of(points)
    write_keypoints(lying, tmp_path / "lies.npz")
    source = load_source(tmp_path / "lies.png", tmp_path / "lies.npz")
    (note,) = source.notes
    assert note.startswith(f"the person in {tmp_path / 'lies.png'} ")
    assert f"--source-rotate {360 - degrees}" in note
    upright = load_source(tmp_path / "lies.png", tmp_path / "lies.npz", rotate=360 - degrees)
    assert upright.notes == ()
    assert np.array_equal(upright.image, load_source(path).image)
    assert np.abs(upright.keypoints.xy - points.xy).max() < 0.01


def test_transparency_is_said(bela):
    image = Image.open(bela[0]).convert("RGBA")
    alpha = np.full((260, 210), 255, np.uint8)
    alpha[:130] = 0
    image.putalpha(Image.fromarray(alpha))
    image.save(bela[0])
    source = load_source(bela[0])
    assert source.notes == (f"{bela[0]} is transparent in 50% of its pixels: laid over white",)
    assert (source.image[:130] == 255).all()
    image.putalpha(255)
    image.save(bela[0])
    assert load_source(bela[0]).notes == (), "a channel of transparency that hides nothing"


# --- grey -------------------------------------------------------------------------------------------------------
def test_a_grey_picture_is_known_and_colours_are_not(bela, tmp_path):
    grey = Image.open(bela[0]).convert("L")
    for name in ("grey.png", "grey.jpg"):
        grey.save(tmp_path / name)
        assert load_source(tmp_path / name).grey
    grey.convert("RGB").save(tmp_path / "three.jpg", quality=60)
    assert load_source(tmp_path / "three.jpg").grey
    assert not any(load_source(name).grey for name in builtin_names())


@pytest.mark.parametrize("framing", [
    Framing((8, 8), (8, 8), (8, 8), 0, 0, 8, 8), Framing((32, 24), (8, 8), (32, 24), 10, 6, 12, 12),
])  # fmt: skip
def test_what_is_painted_of_a_grey_source_has_no_colour(framing):
    painted = np.zeros((8, 8, 3), np.uint8)
    painted[:] = [255, 200, 150]
    source = np.full((8, 8, 3), 120, np.uint8)
    frame = Compositor(source, framing, grey=True).compose(painted)
    assert (frame == frame[..., :1]).all()
    assert 120 < frame.max() <= 211, "its brightness, less where it fades into the backdrop"


def test_a_grey_source_gives_grey_frames(bela, tmp_path):
    Image.open(bela[0]).convert("L").save(tmp_path / "grey.png")
    write_keypoints(bela[1], tmp_path / "where.npz")
    run = ["render", str(EXAMPLES / "fog.npz"), "--frames", "0:1", "-o", str(tmp_path / "out")]
    run += ["--source", str(tmp_path / "grey.png"), "--source-keypoints", str(tmp_path / "where.npz")]
    done = RUNNER.invoke(main, run)
    assert done.exit_code == 0, done.stderr
    frame = np.asarray(Image.open(next((tmp_path / "out").glob("*.png"))))
    assert (frame == frame[..., :1]).all()


# --- from the side ----------------------------------------------------------------------------------------------
def from_the_side(points: Keypoints, share: float = 0.18) -> Keypoints:
    """The shoulders a small part of their width apart, the head as it is."""
    xy = points.xy.copy()
    middle = xy[:, SHOULDERS].mean(1, keepdims=True)
    xy[:, SHOULDERS] = middle + share * (xy[:, SHOULDERS] - middle)
    return replace(points, xy=xy)


def test_a_person_turned_away_is_said_in_one_line(bela, tmp_path):
    write_keypoints(from_the_side(bela[1]), tmp_path / "side.npz")
    (note,) = load_source(bela[0], tmp_path / "side.npz").notes
    assert note.startswith(f"the person in {bela[0]} is turned away, the shoulders are ")
    write_keypoints(bela[1], tmp_path / "front.npz")
    assert load_source(bela[0], tmp_path / "front.npz").notes == ()
    assert all(load_source(name).notes == () for name in builtin_names())


def test_a_skeleton_is_not_blown_up_or_shrunk_by_shoulders_seen_from_the_side(bela):
    clip = read_keypoints(EXAMPLES / "fog.npz").keypoints
    front, side = bela[1], from_the_side(bela[1])
    wanted, given = align_to(clip, front)[1], align_to(clip, side)[1]
    assert given.shoulders == pytest.approx(wanted.shoulders, rel=0.15)
    assert given.hand == pytest.approx(wanted.hand, rel=0.2)
    wide = replace(clip, xy=clip.xy * 2 + [100, 0], width=640, height=520)
    source = replace(load_source("bela"), keypoints=side, kind="image")
    scenes = [build_scene(one, wide, (210, 260), 0.81, None, True) for one in (load_source("bela"), source)]
    usual, turned = (scene.framing for scene in scenes)
    assert turned.width == pytest.approx(usual.width, rel=0.2)
    assert turned.height == pytest.approx(usual.height, rel=0.2)


@needs_cases
def test_the_case_of_a_person_from_the_side():
    source = load_source(SIGNERS / "bela.png", SHARED / "cases/source_from_the_side.npz")
    (note,) = source.notes
    assert "is turned away" in note
    clip = read_keypoints(SHARED / "cases/size_stretch.npz").keypoints
    turned, usual = (
        build_scene(one, clip, (210, 260), 0.81, None, True).framing for one in (source, load_source("bela"))
    )
    assert turned.width == pytest.approx(usual.width, rel=0.2)
    assert turned.height == pytest.approx(usual.height, rel=0.2)


# --- keypoints of any format, or none ---------------------------------------------------------------------------
def test_keypoints_of_a_source_may_be_fractions(bela, tmp_path):
    path, points = bela
    fractions = np.concatenate([(points.xy + 0.5) / points.size, points.confidence[..., None]], -1)
    np.save(tmp_path / "a.npy", fractions.astype(np.float32))
    source = load_source(path, tmp_path / "a.npy")
    seen = points.confidence > 0
    assert np.abs(source.keypoints.xy - points.xy)[seen].max() < 1


@pytest.mark.parametrize("suffix", [".pose", ".json", ".npy"])
def test_keypoints_of_a_source_may_have_any_format(bela, tmp_path, suffix):
    write_keypoints(bela[1], tmp_path / f"a{suffix}")
    hands = load_source(bela[0], tmp_path / f"a{suffix}").keypoints.xy[:, HANDS[0]]
    assert np.abs(hands - bela[1].xy[:, HANDS[0]]).max() < 1


@needs_cases
def test_keypoints_of_a_source_may_be_mediapipes(bela):
    source = load_source(bela[0], SHARED / "cases/mediapipe_543.npy")
    assert source.keypoints.size == (210, 260)
    assert (source.keypoints.confidence[0, SHOULDERS] > 0).all()


class Finder:
    """An estimator that knows where bela stands."""

    signature = "finder,1"

    def look(self, frames, box, *, follows):
        return np.repeat(load_source("bela").keypoints.points, len(frames), axis=0)


def test_an_estimator_that_is_installed_finds_the_person(bela, monkeypatch):
    monkeypatch.setattr(loading, "load_estimator", lambda settings: Finder())
    source = load_source(bela[0], estimate=True)
    assert np.array_equal(source.keypoints.xy, bela[1].xy)
    assert source.notes == (f"the person in {bela[0]} was found by finder,1; --source-keypoints says it better",)
    assert load_source(bela[0]).keypoints is None
    assert load_source("bela", estimate=True).notes == ()


def test_without_an_estimator_one_line_says_what_is_lost(bela, monkeypatch):
    def absent(settings):
        raise NotInstalled("mediapipe", "is not installed", "install it")

    monkeypatch.setattr(loading, "load_estimator", absent)
    source = load_source(bela[0], estimate=True)
    assert source.keypoints is None
    clip = read_keypoints(EXAMPLES / "fog.npz").keypoints
    scene = build_scene(source, clip, (210, 260), 0.81, None, False)
    assert [line for line in scene.warnings if "--source-keypoints" in line and "no keypoints" in line]


# --- rates ------------------------------------------------------------------------------------------------------
def test_a_rate_may_be_a_fraction(tmp_path):
    assert RATE.convert("30000/1001", None, None) == pytest.approx(29.97002997)
    for wrong in ("30000/0", "1/", "/25", "nan", "inf/1", "1/2/3", "-25", "0", "1e9"):
        with pytest.raises(BadValue):
            RATE.convert(wrong, None, None)
    done = RUNNER.invoke(main, ["inspect", str(EXAMPLES / "fog.npz"), "--fps", "30000/1001", "--json"])
    assert json.loads(done.stdout)["fps"] == pytest.approx(30000 / 1001)
    assert read_keypoints(EXAMPLES / "fog.npz", fps=Fraction(30000, 1001)).keypoints.fps == pytest.approx(30000 / 1001)
