"""The source's own backdrop around the person: no rectangle where a model paints another one, and no streaks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from signgen.cli import main
from signgen.keypoints import write_keypoints
from signgen.rendering.backdrop import Backdrop, silhouette
from signgen.rendering.compositing import Compositor
from signgen.rendering.framing import Framing
from signgen.rendering.scene import build_scene
from signgen.rendering.source import builtin_names, load_source

SHARED = Path(os.environ.get("SIGNGEN_SHARED", "/absent"))
SIZE = (210, 260)
PERSON = load_source("bela").keypoints
SHAPE = silhouette(PERSON.xy[0], PERSON.confidence[0], SIZE)


def wall(seed: int = 0) -> np.ndarray:
    """uint8 (260,210,3): an orange wall with a pattern of blocks."""
    blocks = np.random.default_rng(seed).normal(0, 18, (33, 27, 1)).repeat(8, 0).repeat(8, 1)[:260, :210]
    return np.clip(np.array([235, 150, 110]) + blocks, 0, 255).astype(np.uint8)


def before(backdrop: np.ndarray) -> np.ndarray:
    """Somebody in dark clothes before a backdrop."""
    picture = backdrop.copy()
    picture[SHAPE.core] = [30, 30, 45]
    return picture


@pytest.fixture(scope="module")
def backdrop() -> Backdrop:
    return Backdrop(before(wall()), PERSON)


def test_the_plate_is_the_source_where_nobody_is_and_the_wall_where_somebody_is(backdrop):
    free = ~SHAPE.around
    assert np.array_equal(backdrop.plate[free], wall()[free].astype(np.float32))
    inside = backdrop.plate[SHAPE.core]
    assert np.abs(inside.mean(0) - [235, 150, 110]).max() < 12, "no trace of dark clothes"
    assert backdrop.known


def test_another_backdrop_gives_way_to_the_sources(backdrop):
    """The model paints the person rightly, and a grey studio around, half of it mixed with the wall."""
    grey = np.full((260, 210, 3), (165, 170, 178), np.uint8)
    mixed = (0.5 * wall() + 0.5 * grey).astype(np.uint8)
    for painted in (before(grey), before(mixed)):
        out = backdrop.behind(painted, PERSON.xy[0], PERSON.confidence[0])
        assert np.abs(out[~SHAPE.around].astype(int) - wall()[~SHAPE.around]).mean() < 2
        assert np.abs(out[SHAPE.core].astype(int) - painted[SHAPE.core]).mean() < 12, "the person stays"
        band = SHAPE.around & ~SHAPE.core
        assert (
            np.abs(out[band].astype(float) - backdrop.plate[band]).mean()
            < np.abs(painted[band].astype(float) - backdrop.plate[band]).mean() / 2
        ), "what is near the person is mostly the wall, too"


def test_a_frame_before_the_right_backdrop_stays_bit_for_bit(backdrop):
    noise = np.random.default_rng(3).integers(-6, 7, (260, 210, 3))
    painted = np.clip(before(wall()).astype(int) + noise, 0, 255).astype(np.uint8)
    assert backdrop.behind(painted, PERSON.xy[0], PERSON.confidence[0]) is painted


def test_without_shoulders_nothing_is_done(backdrop):
    frame = before(np.full((260, 210, 3), 128, np.uint8))
    assert backdrop.behind(frame, PERSON.xy[0], np.zeros(133)) is frame


def test_studio_backdrops_are_smooth_and_a_pattern_is_not(backdrop):
    assert backdrop.rough
    for name in builtin_names():
        signer = load_source(name)
        assert not Backdrop(signer.image, signer.keypoints).rough, name


def test_a_pattern_goes_on_without_streaks(backdrop):
    framing = Framing((640, 480), SIZE, (640, 480), 200, 150, 210, 260)
    image = before(wall())
    painted = before(np.full((260, 210, 3), (165, 170, 178), np.uint8))
    old = Compositor(image, framing).compose(painted)
    new = Compositor(image, framing, backdrop=backdrop).compose(painted, PERSON)
    beside = old[200:300, 100:190].astype(float)
    assert np.abs(np.diff(beside, axis=1)).mean() < 0.5 < np.abs(np.diff(beside, axis=0)).mean(), "rows drawn out"
    beside = new[200:300, 100:190].astype(float)
    along, across = np.abs(np.diff(beside, axis=1)).mean(), np.abs(np.diff(beside, axis=0)).mean()
    assert along > across / 2
    assert np.abs(new[:140].reshape(-1, 3).mean(0) - [235, 150, 110]).max() < 15
    edge = np.abs(new[200:300, 196:216].astype(float) - [235, 150, 110]).mean()
    assert edge < np.abs(old[200:300, 206:216].astype(float) - [235, 150, 110]).mean(), "no border of the canvas"


def test_more_of_a_wall_is_shown_in_a_picture_of_another_shape():
    """Keypoints of the source's own frame, and a wider output: the wall goes on, without streaks."""
    source = replace(load_source("bela"), image=before(wall()), kind="image", name="me.png")
    scene = build_scene(source, PERSON, SIZE, 0.81, (520, 260), align=False)
    assert scene.surroundings is not None
    beside = scene.surroundings[20:160, 60:150].astype(float)
    along, across = np.abs(np.diff(beside, axis=1)).mean(), np.abs(np.diff(beside, axis=0)).mean()
    assert along > across / 2


def test_smooth_sources_are_composed_as_before():
    signer = load_source("bela")
    framing = Framing((640, 480), SIZE, (640, 480), 200, 150, 210, 260)
    known = Compositor(signer.image, framing, backdrop=Backdrop(signer.image, signer.keypoints))
    plain = Compositor(signer.image, framing)
    assert np.array_equal(known.compose(signer.image, PERSON), plain.compose(signer.image))


def rendered(tmp_path: Path, source: Path, points: Path) -> np.ndarray:
    run = ["render", str(points), "--frames", "0:1", "-o", str(tmp_path / "out"), "--frame-size", "210x260"]
    done = CliRunner().invoke(main, [*run, "--source", str(source), "--source-keypoints", str(points)])
    assert done.exit_code == 0, done.stderr
    return np.asarray(Image.open(next((tmp_path / "out").glob("*.png"))))


def test_a_render_before_a_wall_shows_the_wall(tmp_path):
    picture = np.where(SHAPE.around[..., None], load_source("bela").image, wall())
    Image.fromarray(picture).save(tmp_path / "me.png")
    write_keypoints(replace(PERSON, name="me"), tmp_path / "me.npz")
    frame = rendered(tmp_path, tmp_path / "me.png", tmp_path / "me.npz")
    assert np.abs(frame[~SHAPE.around].astype(int) - picture[~SHAPE.around]).mean() < 2


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="SIGNGEN_SHARED does not lead to the cases")
def test_the_case_that_was_sent(tmp_path):
    source, points = (SHARED / f"cases/source_orange_wall.{suffix}" for suffix in ("png", "npz"))
    picture = load_source(source, points)
    pose = picture.keypoints
    free = ~silhouette(pose.xy[0], pose.confidence[0], SIZE).around
    frame = rendered(tmp_path, source, points)
    assert np.abs(frame[free].astype(int) - picture.image[free]).mean() < 2
