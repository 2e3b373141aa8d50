"""The tool that renders signers for showing, on a tiny untrained model."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import make_pipeline, signing

from signgen.errors import InputError
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.rendering.framing import find_stance
from signgen.rendering.source import load_source
from signgen.video import probe, read_frames

CREDIT = "Keypoints: made up for a test."


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    folder = str(Path(__file__).resolve().parent.parent / "tools")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import make_showcase

    return make_showcase


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames of somebody in a wide frame, at 50 frames a second."""
    person = signing(20, (320, 240))
    path = tmp_path_factory.mktemp("clip") / "wide.npz"
    points = np.concatenate([person.xy, person.confidence[..., None]], -1)
    np.savez(path, keypoints=points, width=320, height=240, fps=50.0)
    return path


def test_sheet_and_video(tool: ModuleType, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool.SignGenPipeline, "from_pretrained", lambda model: make_pipeline())
    sheet, video = tmp_path / "s.webp", tmp_path / "v.mp4"
    parts = [f"alma={clip}", f"bela={clip}@4:12", f"cora={clip}@:10"]
    options = ["--sheet", sheet, "--video", video, "--credit", CREDIT, "--height", 104, "--moments", 2]
    done = CliRunner().invoke(tool.main, [*parts, *map(str, options)], catch_exceptions=False)
    assert done.exit_code == 0
    picture = Image.open(sheet)
    wide = 2 * round(42 / 0.81 * 104 / 52 / 2)
    assert picture.width == 3 * wide
    rows, rest = divmod(picture.height - 3 * 104, tool.LINE)
    assert rest == 0
    assert rows > 4  # four lines of words, which are too long for a sheet this narrow and go on below
    assert picture.getexif()[0x010E] == tool.STATEMENT
    info = probe(video)
    assert info.width == 2 * wide
    assert info.height > 2 * 104 + 3 * tool.LINE
    assert len(list(read_frames(video))) == 10  # the longest part at 25 frames a second
    with av.open(str(video)) as container:
        assert CREDIT in container.metadata["comment"]
        assert "generated video" in container.metadata["comment"]


def test_words_keep_to_the_width(tool: ModuleType) -> None:
    assert tool._wrapped("one two three", lambda text: len(text) <= 7) == ["one two", "three"]
    assert tool._wrapped("incomprehensible word", lambda text: len(text) <= 7) == ["incomprehensible", "word"]
    assert (
        tool.caption(400, ["short", "a longer line " * 9]).shape[0]
        > tool.caption(4000, ["short", "a longer line " * 9]).shape[0]
    )


def test_the_driving_person_stands_where_the_signer_does(tool: ModuleType, clip: Path) -> None:
    source = load_source("alma")
    keypoints = tool.driving(tool.Part("alma", clip), source, 0.81, seconds=0.2)
    assert (len(keypoints), keypoints.fps, keypoints.size) == (5, 25.0, source.size)
    here, there = find_stance(keypoints), find_stance(source.keypoints)
    assert (here.x, here.y, here.width) == pytest.approx((there.x, there.y, there.width), abs=2)


def test_tiles_show_the_skeleton_and_leave_the_rest(tool: ModuleType) -> None:
    frame, pose = np.full((52, 42, 3), 100, np.uint8), np.full((52, 42, 3), 255, np.uint8)
    shown = tool.tile(frame, pose, (100, 104))
    inside = shown[tool.MARGIN : tool.MARGIN + round(0.26 * 104), tool.MARGIN : tool.MARGIN + 26]
    assert (inside == 255).all()
    assert (shown == 255).all(-1).sum() == inside.shape[0] * inside.shape[1]


def test_moments_are_those_in_which_hands_are_seen_and_rest(tool: ModuleType) -> None:
    whole = signing(12)
    confidence, xy = whole.confidence.copy(), np.repeat(whole.xy[:1], 12, 0)
    confidence[:, LEFT_HAND.start : RIGHT_HAND.stop] = 0.2
    confidence[[2, 7, 8], LEFT_HAND.start : RIGHT_HAND.stop] = 0.9
    xy[7, LEFT_HAND.start : RIGHT_HAND.stop] += 8
    xy[8] = xy[7]
    keypoints = Keypoints(xy, confidence, width=42, height=52, fps=25.0, name="c")
    assert tool.moments(keypoints, 2) == [2, 8]  # frame 7 has just jumped there
    assert len(tool.moments(keypoints[:1], 3)) == 3


def test_bad_parts(tool: ModuleType, clip: Path) -> None:
    for text in ("alma", f"={clip}", f"alma={clip}@5", f"alma={clip}@a:b"):
        with pytest.raises(InputError, match="SIGNER=FILE"):
            tool.Part.parse(text)
    with pytest.raises(InputError, match="not found"):
        tool.Part.parse("alma=absent.pose")
    part = tool.Part.parse(f"alma={clip}@90:99")
    assert (part.first, part.stop) == (90, 99)
    with pytest.raises(InputError, match="frames 90:99"):
        tool.driving(part, load_source("alma"), 0.81, 1.0)


def test_something_must_be_asked_for(tool: ModuleType, clip: Path) -> None:
    with pytest.raises(InputError, match="none wanted"):
        CliRunner().invoke(tool.main, [f"alma={clip}", "--credit", CREDIT], catch_exceptions=False)
