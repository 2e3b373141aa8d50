"""`signgen convert`: every format into every other, and what is said to be lost is what is lost."""

from __future__ import annotations

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from keypoint_maker import signer

from signgen.cli import main
from signgen.errors import Missing, NotWritable
from signgen.keypoints import READ_FORMATS, WRITE_FORMATS, Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.formats import registry
from signgen.keypoints.formats.registry import FORMATS
from signgen.keypoints.keypoint_files import keypoint_bytes
from signgen.package import EXAMPLES
from signgen.pose_image.solid import refit_hands

FRAMES = 6
SUFFIX = {"npz": ".npz", "npy": ".npy", "pose": ".pose", "skels": ".skels", "openpose": "", "fpdm": ""}


def clip() -> Keypoints:
    """Everything that formats can lose: a name, an odd size and rate, graded confidences, feet, gaps, a lost hand."""
    whole = signer(FRAMES)
    confidence = np.tile(np.linspace(0.35, 0.95, 133, dtype=np.float32), (FRAMES, 1))
    confidence[2] = 0  # nobody
    confidence[3, 91:112] = 0
    confidence[:, 14] = 0
    return replace(whole, confidence=confidence, width=214, height=262, fps=30.0, name="test/a clip")


JSON = ("mmpose", "rtmlib", "coco-wholebody", "alphapose", "comfyui")


def place(folder: Path, format: str) -> Path:
    suffix = SUFFIX.get(format, ".json" if format in JSON else ".dat")
    return folder / f"out{suffix}"


def held(original: Keypoints, format: str) -> np.ndarray:
    """bool (T,133): the points that the format says it holds."""
    chosen = np.zeros(133, bool)
    chosen[list(FORMATS[format].joints)] = True
    return (original.confidence > 0) & chosen


def assert_same(original: Keypoints, again: Keypoints, *formats: str) -> None:
    """All points that every one of the formats holds are where they were; all others are missing."""
    kept = np.logical_and.reduce([held(original, format) for format in formats])
    assert len(again) == len(original)
    assert np.array_equal(again.confidence > 0, kept)
    if all(FORMATS[format].placed for format in formats):
        assert np.abs(again.xy - original.xy)[kept].max() < 2e-3
    else:  # the same shape, elsewhere and in another size
        a, b = (points - points[:, 5:7].mean(1, keepdims=True) for points in (original.xy, again.xy))
        rest = [t for t in range(len(original)) if t != 2]
        scale = np.linalg.norm(b[0, 5]) / np.linalg.norm(a[0, 5])
        assert np.abs(scale * a - b)[rest][kept[rest]].max() < 0.01
    if all(FORMATS[format].confidence for format in formats):
        assert np.abs(again.confidence - original.confidence)[kept].max() < 1e-6
    else:
        assert set(np.unique(again.confidence)) <= {0, 1}


def test_every_format_that_is_read_is_written() -> None:
    assert set(WRITE_FORMATS) == set(READ_FORMATS) == set(FORMATS)


def test_every_file_of_the_formats_is_listed() -> None:
    folder = Path(registry.__file__).parent
    names = (".".join(path.relative_to(folder).with_suffix("").parts) for path in folder.rglob("*.py"))
    files = set(names) - {"record", "registry"}
    assert files == set(registry._FILES)
    assert len(FORMATS) == len(registry._FILES), "each has a name of its own"


def table_of(heading: str) -> list[list[str]]:
    """The cells of a table's rows in docs/formats.md, by the words of its first heading."""
    page = (Path(__file__).parent.parent / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = page.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_page_says_what_each_format_holds() -> None:
    tools = Path(__file__).parent.parent / "tools"
    made = runpy.run_path(str(tools / "make_formats_page.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "run python tools/make_formats_page.py"
    rows = {row[0].strip("`"): row for row in table_of("`--from`, `--to`")}
    assert set(rows) == set(FORMATS)
    for name, row in rows.items():
        assert (bool(row[3]), bool(row[4])) == (FORMATS[name].size, FORMATS[name].fps)
    assert len({row[1] for row in rows.values()} | {row[2] for row in rows.values()}) > len(rows)


def test_the_page_says_what_each_format_loses() -> None:
    feet, face, hips = 17, 23, 11
    losing = {
        "confidences": lambda format: not format.confidence,
        "feet": lambda format: feet not in format.joints,
        "small toes": lambda format: feet + 1 not in format.joints,
        "face, eyes": lambda format: not {face, hips, 1} & set(format.joints),
        "place and size": lambda format: not format.placed,
        "frame size, for": lambda format: not format.size,
        "rate, likewise": lambda format: not format.fps,
        "the clip's name": lambda format: format.clip_name != "any",
        "frame size and rate": lambda format: format.folder,
    }
    rows = dict(table_of("lost"))
    for words, loses in losing.items():
        places = next(places for lost, places in rows.items() if lost.startswith(words))
        named = set(re.findall(r"`([^`]+)`", places))
        wanted = {name for name, format in FORMATS.items() if loses(format)}
        assert named == (set(FORMATS) - wanted if places.startswith("all but") else wanted), words


def test_the_help_of_convert_names_every_format() -> None:
    text = CliRunner().invoke(main, ["convert", "--help"]).stdout
    assert all(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) for name in FORMATS)
    assert all(f"({format.suffix})" in text for format in FORMATS.values() if format.suffix)


@pytest.mark.parametrize("format", WRITE_FORMATS)
def test_there_and_back(tmp_path: Path, format: str) -> None:
    original, path = clip(), place(tmp_path, format)
    said = write_keypoints(original, path, format)
    told = {} if FORMATS[format].size else {"frame_size": original.size}
    rate = {} if FORMATS[format].fps else {"fps": original.fps}
    read = read_keypoints(path, **told, **rate)
    assert read.format == format
    assert_same(original, read.keypoints, format)
    assert (read.keypoints.size, read.keypoints.fps) == (original.size, original.fps)
    assert (read.keypoints.name == original.name) == (not any("name" in line for line in said))
    for words, lost in (("frame size", told), ("rate", rate), ("confidences", not FORMATS[format].confidence)):
        assert any(words in line for line in said) == bool(lost), (words, said)
    points = int((~np.isin(np.arange(133), FORMATS[format].joints) & (original.confidence > 0).any(0)).sum())
    assert any(f"{points} of 133 points" in line for line in said) == bool(points)
    assert sorted(item.name for item in tmp_path.iterdir()) == [path.name]


@pytest.mark.parametrize("second", WRITE_FORMATS)
def test_every_pair_keeps_what_both_hold(tmp_path: Path, second: str) -> None:
    """From each format to this one: what comes out is what both hold, and nothing is invented."""
    original = clip()
    for first in WRITE_FORMATS:
        (tmp_path / first).mkdir()
        path, end = place(tmp_path / first, first), place(tmp_path / first, "npz").with_stem("end")
        write_keypoints(original, path, first)
        middle = read_keypoints(path, frame_size=original.size, fps=original.fps).keypoints
        end = place(tmp_path / first, second).with_name("end" + place(tmp_path, second).suffix)
        write_keypoints(middle, end, second)
        again = read_keypoints(end, frame_size=original.size, fps=original.fps)
        assert again.format == second
        assert_same(original, again.keypoints, first, second)


def test_a_format_that_holds_everything_says_nothing(tmp_path: Path) -> None:
    assert write_keypoints(clip(), tmp_path / "a.npz") == []
    named = replace(clip(), name="a")
    assert write_keypoints(named, tmp_path / "a.pose") == []
    assert "name" in write_keypoints(clip(), tmp_path / "a.pose")[0]


def test_feet_that_nobody_sees_are_no_loss(tmp_path: Path) -> None:
    confidence = clip().confidence.copy()
    confidence[:, 17:23] = 0
    said = write_keypoints(replace(clip(), confidence=confidence), tmp_path / "a.pkl", "dwpose")
    assert not any("points are left out" in line for line in said)


def test_skels_need_shoulders(tmp_path: Path) -> None:
    confidence = clip().confidence.copy()
    confidence[:, 5] = 0
    with pytest.raises(Missing):
        write_keypoints(replace(clip(), confidence=confidence), tmp_path / "a.skels")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_only_if_it_holds_nothing_else(tmp_path: Path) -> None:
    write_keypoints(clip(), tmp_path / "out", "openpose")
    write_keypoints(clip()[:2], tmp_path / "out", "openpose")
    assert len(list((tmp_path / "out").iterdir())) == 2
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(NotWritable):
        write_keypoints(clip(), tmp_path / "out", "openpose")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotWritable):
        write_keypoints(clip(), tmp_path / "file", "fpdm")


def test_openpose_has_neck_and_middle_of_the_hips(tmp_path: Path) -> None:
    write_keypoints(clip(), tmp_path / "out", "openpose")
    first = json.loads((tmp_path / "out" / "a clip_000000000000_keypoints.json").read_text())
    body = np.reshape(first["people"][0]["pose_keypoints_2d"], (25, 3))
    assert np.allclose(body[1, :2], clip().xy[0, 5:7].mean(0), atol=1e-4)
    assert np.allclose(body[8, :2], clip().xy[0, 11:13].mean(0), atol=1e-4)
    assert json.loads((tmp_path / "out" / "a clip_000000000002_keypoints.json").read_text())["people"] == []


def test_bytes_for_a_pipe_are_the_files(tmp_path: Path) -> None:
    content, said = keypoint_bytes(clip(), "pose")
    assert said == [".pose does not hold the clip's name (test/a clip)"]
    write_keypoints(clip(), tmp_path / "a.pose")
    assert content == (tmp_path / "a.pose").read_bytes()


# --- the command ----------------------------------------------------------------------------------------------
def test_losses_are_on_standard_error_and_in_the_json(tmp_path: Path) -> None:
    write_keypoints(clip(), tmp_path / "a.npz")
    call = ["convert", str(tmp_path / "a.npz"), str(tmp_path / "b.pkl"), "--to", "dwpose", "--json"]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["format"], result["written"]) == ("npz", "dwpose")
    assert any("feet: 6 of 133 points" in line for line in result["losses"])
    assert all(f"warning: {line}" in done.stderr for line in result["losses"])


HEADED = [name for name in WRITE_FORMATS if not FORMATS[name].folder and not (FORMATS[name].size and FORMATS[name].fps)]


@pytest.mark.parametrize("name", HEADED)
def test_size_and_rate_go_into_a_header_where_a_format_does_not_hold_them(tmp_path: Path, name: str) -> None:
    write_keypoints(clip(), tmp_path / "a.npz")
    target = tmp_path / "b.dat"
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "a.npz"), str(target), "--to", name, "--json"])
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["header"] == str(target) + ".header"
    assert not any("--frame-size" in line or "--fps" in line for line in result["losses"])
    read = read_keypoints(target, format=name)
    assert (read.keypoints.size, read.keypoints.fps) == (clip().size, clip().fps)
    assert (read.size_known, read.fps_known) == (True, True)


def test_what_was_assumed_is_not_written_down_as_known(tmp_path: Path) -> None:
    write_keypoints(clip(), tmp_path / "a.json")
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "a.json"), str(tmp_path / "b.npy"), "--json"])
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["header"] is None
    assert any("give --frame-size and --fps" in line for line in result["losses"])
    assert not (tmp_path / "b.npy.header").exists()


def test_a_header_of_an_earlier_file_does_not_stay_beside_a_new_one(tmp_path: Path) -> None:
    """Both have as many frames, so the old header would be believed."""
    write_keypoints(clip(), tmp_path / "a.json", header=True)
    assert read_keypoints(tmp_path / "a.json").size_known
    write_keypoints(clip(), tmp_path / "a.json")
    assert not read_keypoints(tmp_path / "a.json").size_known
    other = tmp_path / "b.json.header"
    other.write_text("a letter")
    write_keypoints(clip(), tmp_path / "b.json")
    assert other.read_text() == "a letter"


def test_hands_are_refitted_on_demand(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["convert", str(EXAMPLES / "house.npz"), str(tmp_path / "steady.npz"), "--refit"])
    assert done.exit_code == 0, done.output
    wanted = refit_hands(read_keypoints(EXAMPLES / "house.npz").keypoints)
    assert np.array_equal(read_keypoints(tmp_path / "steady.npz").keypoints.xy, wanted.xy)


def test_the_folder_that_an_input_lies_in_is_not_replaced(tmp_path: Path) -> None:
    write_keypoints(clip(), tmp_path / "frames", "openpose")
    before = sorted((tmp_path / "frames").iterdir())
    done = CliRunner().invoke(main, ["convert", str(before[1]), str(tmp_path / "frames"), "--to", "openpose"])
    assert (done.exit_code, "is the folder of the input" in done.stderr) == (2, True)
    assert sorted((tmp_path / "frames").iterdir()) == before


def test_the_first_of_several_clips_is_taken_and_said(tmp_path: Path) -> None:
    both = [keypoint_bytes(part, "skels")[0] for part in (clip(), clip()[:2])]
    (tmp_path / "dev.skels").write_bytes(b"".join(both))
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "dev.skels"), str(tmp_path / "b.npz")])
    assert done.exit_code == 0, done.stderr
    assert "holds 2 clips (0, 1); this is the first" in done.stderr
    assert len(read_keypoints(tmp_path / "b.npz").keypoints) == FRAMES
    with pytest.raises(Missing):
        read_keypoints(tmp_path / "dev.skels")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["out.bvh"], "unknown output format '.bvh'"),
        (["out"], "without a suffix"),
        (["out.pkl"], "mska"),
        (["-"], "--to"),
        (["-", "--to", "npz", "--json"], "leave out one"),
        (["-", "--to", "openpose"], "a folder of one file a frame"),
        (["absent/out.npz"], "make it first"),
    ],
)
def test_bad_targets_are_one_line_and_nothing_is_written(tmp_path, monkeypatch, arguments, words) -> None:
    monkeypatch.chdir(tmp_path)
    write_keypoints(clip(), "a.npz")
    done = CliRunner().invoke(main, ["convert", "a.npz", *arguments])
    assert done.exit_code == 2
    assert words in done.stderr
    assert [line[:7] for line in done.stderr.splitlines()] == ["error: "]
    assert done.stdout == ""
    assert [item.name for item in tmp_path.iterdir()] == ["a.npz"]
