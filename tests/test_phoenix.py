"""The index of PHOENIX14T: a sample of the real release, and the oddities of its layout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signgen.dataset.phoenix import PhoenixIndex
from signgen.errors import InputError

HEADER = "name|video|start|end|speaker|orth|translation"


def release(root: Path, rows: list[str], header: str = HEADER, split: str = "train") -> Path:
    """A tiny data set: every row's clip has three frames."""
    inner = root / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    manual = inner / "annotations" / "manual"
    manual.mkdir(parents=True, exist_ok=True)
    (manual / f"PHOENIX-2014-T.{split}.corpus.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    for row in rows:
        folder = inner / "features" / "fullFrame-210x260px" / split / row.split("|")[0]
        folder.mkdir(parents=True, exist_ok=True)
        for number in (1, 2, 10):
            (folder / f"images{number:04d}.png").touch()
    return root


def row(name: str = "a-1", text: str = "regen") -> str:
    return f"{name}|{name}/1/*.png|-1|-1|Signer01|REGEN SCHNEE|{text}"


def test_sample_of_the_release(shared: Path) -> None:
    root = shared / "data" / "phoenix14t_mini"
    index = PhoenixIndex(root, keypoints=root / "keypoints_mediapipe")
    assert index.splits == ("test",)
    assert len(index) == 2
    clip = next(clip for clip in index if clip.name == "10December_2009_Thursday_heute-7944")
    assert clip.speaker == "Signer02"
    assert clip.glosses == ("SAMSTAG", "NOCH", "SCHNEE")
    assert clip.translation == "samstag fällt auch noch schnee"
    assert len(clip.frames) == 32
    assert clip.frames[0].name == "images0001.png"
    assert clip.frames[-1].name == "images0032.png"
    assert clip.keypoints == root / "keypoints_mediapipe" / f"{clip.name}.npz"


@pytest.mark.parametrize("inside", ["", "PHOENIX-2014-T-release-v3", "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"])
def test_any_level_of_the_tree_is_a_root(tmp_path: Path, inside: str) -> None:
    (tmp_path / "keypoints").mkdir()
    (tmp_path / "keypoints" / "a-1.npz").touch()
    clip = PhoenixIndex(release(tmp_path, [row()]) / inside).clips("train")[0]
    assert clip.keypoints == tmp_path / "keypoints" / "a-1.npz"


def test_stray_files_are_ignored_and_gaps_are_errors(tmp_path: Path) -> None:
    clip = PhoenixIndex(release(tmp_path, [row()])).clips("train")[0]
    with pytest.raises(InputError, match="lacks frame 3 of 10"):
        _ = clip.frames
    os.remove(clip.folder / "images0010.png")
    for stray in ("createDnnTrainingLabels-profile.py.lprof", "images0003.png.tmp", "imagesx.png"):
        (clip.folder / stray).touch()
    assert [path.name for path in clip.frames] == ["images0001.png", "images0002.png"]


def test_frames_in_the_folder_1_are_found(tmp_path: Path) -> None:
    clip = PhoenixIndex(release(tmp_path, [row()])).clips("train")[0]
    (clip.folder / "1").mkdir()
    os.replace(clip.folder / "images0001.png", clip.folder / "1" / "images0001.png")
    assert [path.parent.name for path in clip.frames] == ["1"]


def test_quotes_are_plain_letters(tmp_path: Path) -> None:
    clips = PhoenixIndex(release(tmp_path, [row("a-1", 'der "dax" fällt'), row("b-2", '"offen')])).clips("train")
    assert [clip.translation for clip in clips] == ['der "dax" fällt', '"offen']


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        ([row(), row()], HEADER, "repeats clip a-1"),
        (["a-1|a-1/1/*.png|-1|-1|Signer01|REGEN"], HEADER, "line 2 has 6 fields"),
        ([row()], HEADER.replace("orth", "gloss"), "lacks the columns orth"),
        (["x|../../../etc/1/*.png|-1|-1|S|A|a"], HEADER, "plain folder name"),
    ],
)
def test_broken_corpus_files_are_named(tmp_path: Path, rows: list[str], header: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        PhoenixIndex(release(tmp_path, rows, header)).clips("train")


def test_missing_things_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="PHOENIX-2014-T-release-v3"):
        PhoenixIndex(tmp_path)
    index = PhoenixIndex(release(tmp_path, [row()]))
    with pytest.raises(InputError, match="it has train"):
        index.clips("dev")
    assert index.clips("train")[0].keypoints is None
