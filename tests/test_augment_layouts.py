"""Each layout read back by its consumer's own rules, and compared with the real files that these consumers publish."""

from __future__ import annotations

import csv
import glob
import gzip
import io
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from augment_maker import CLIPS, FRAME, ORTH, RELEASE, TRANSLATION, Stage
from PIL import Image

from signgen.keypoints import read_keypoints

PLAIN_TRANSLATION = "am samstag so heißt es föhn bei 'uns'"
COUNTS = {"train": 6, "dev": 1, "test": 1}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Stage:
    return Stage(tmp_path_factory.mktemp("layouts"))


def made(stage: Stage, *layouts: str) -> Path:
    name = "-".join(layouts)
    if not (stage.root / name).is_dir():
        stage.run(name, stage.settings(copies=1, gate=None, layouts=layouts))
    return stage.root / name


def size_of(data: bytes | str) -> tuple[int, int]:
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return image.size


# --- PHOENIX14T -----------------------------------------------------------------------------------------------
def test_phoenix14t_as_sign_language_loaders_read_it(stage):
    """Columns at ``|`` without quoting; the video's last seven signs cut off; frames sorted by name."""
    out = made(stage, "phoenix14t") / RELEASE
    for split, count in COUNTS.items():
        path = out / f"annotations/manual/PHOENIX-2014-T.{split}.corpus.csv"
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))
        assert len(rows) == len({row["name"] for row in rows}) == count
        for row in rows:
            assert (row["orth"], row["translation"]) == (ORTH, TRANSLATION)
            folder = out / "features/fullFrame-210x260px" / split / row["video"][:-7]
            frames = sorted(glob.glob(glob.escape(str(folder)) + "/images*.png"))
            assert frames
            assert {size_of(frame) for frame in frames} == {FRAME}
            assert [Path(f).name for f in frames] == [f"images{n:04d}.png" for n in range(1, len(frames) + 1)]


def test_a_data_set_without_frames_is_counted_by_its_keypoints(tmp_path):
    blind = Stage(tmp_path)
    shutil.rmtree(blind.dataset / RELEASE / "features")
    settings = blind.settings(copies=2, layouts=("phoenix14t", "slrt"), gate=None)
    result = blind.run("out", settings)
    assert result["plan"]["left"]["frames"] == 2 * sum(CLIPS["train"].values())
    [warning] = result["warnings"]
    assert "5 clips of the data set have no frames" in warning
    assert blind.run("out", settings, originals="none")["warnings"] == []


# --- CorrNet --------------------------------------------------------------------------------------------------
def prepared_by_corrnet(out: Path, split: str) -> dict:
    """What its preparation makes of the corpus file: lines of one comma-separated column, split at ``|``."""
    path = out / RELEASE / f"annotations/manual/PHOENIX-2014-T.{split}.corpus.csv"
    with open(path, encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))  # commas and quotes as pandas takes them
    assert all(len(line) == 1 for line in table)
    info: dict = {"prefix": str(out.absolute() / RELEASE / "features/fullFrame-210x260px")}
    for number, (line,) in enumerate(table[1:]):
        name, video, _, _, speaker, orth, _ = line.split("|")
        frames = glob.glob(f"{info['prefix']}/{split}/{video}")
        info[number] = {
            "fileid": name, "folder": f"{split}/{video}", "signer": speaker, "label": orth, "num_frames": len(frames),
            "original_info": line,
        }  # fmt: skip
    return info


def test_corrnet_finds_what_its_own_preparation_would_make(stage):
    out = made(stage, "corrnet")
    lists = out / "preprocess/phoenix2014-T"
    glosses = np.load(lists / "gloss_dict.npy", allow_pickle=True).item()
    counted: dict[str, int] = {}
    for split, count in COUNTS.items():
        info = np.load(lists / f"{split}_info.npy", allow_pickle=True).item()
        assert info == prepared_by_corrnet(out, split)
        clips = [info[number] for number in range(len(info) - 1)]
        assert len(clips) == count
        stm = (lists / f"phoenix2014-T-groundtruth-{split}.stm").read_text(encoding="utf-8").splitlines()
        for clip, line in zip(clips, stm, strict=True):
            files = sorted(glob.glob(f"{info['prefix']}/{clip['folder']}"))  # as its loader does
            assert len(files) == clip["num_frames"] > 0
            assert {size_of(file) for file in files} == {FRAME}
            assert clip["original_info"].endswith(f"|{ORTH}|{PLAIN_TRANSLATION}")
            assert all(gloss in glosses for gloss in clip["label"].split(" "))
            head, words = line.split(" 1.79769e+308 ")
            assert head.split(" ") == [clip["fileid"], "1", clip["signer"], "0.0"]
            assert words == clip["label"]
            for gloss in clip["label"].split():
                counted[gloss] = counted.get(gloss, 0) + 1
    assert glosses == {gloss: [n, counted[gloss]] for n, gloss in enumerate(sorted(counted), 1)}


def same_kind(ours: object, real: object) -> bool:
    return type(ours) is type(real)


def test_corrnet_files_have_the_fields_of_the_published_ones(stage, shared):
    folder = shared / "data/slt_annotations"
    real = np.load(folder / "corrnet_phoenix2014-T_dev_info.npy", allow_pickle=True)
    ours = np.load(made(stage, "corrnet") / "preprocess/phoenix2014-T/train_info.npy", allow_pickle=True)
    assert (ours.shape, ours.dtype) == (real.shape, real.dtype)
    ours, real = ours.item(), real.item()
    assert [key for key in ours if isinstance(key, str)] == [key for key in real if isinstance(key, str)]
    assert Path(ours["prefix"]).parts[-4:] == Path(real["prefix"]).parts[-4:]
    for clip in (clip for number, clip in ours.items() if isinstance(number, int)):
        assert list(clip) == list(real[0])
        for key, value in real[0].items():
            assert same_kind(clip[key], value), key
        for one in (clip, real[0]):  # what a field says holds in both
            fields = one["original_info"].split("|")
            assert len(fields) == 7
            assert (fields[0], fields[4], fields[5]) == (one["fileid"], one["signer"], one["label"])
            assert re.fullmatch(r"(train|dev|test)/" + re.escape(one["fileid"]) + r"(/1)?/\*\.png", one["folder"])
    words = np.load(folder / "corrnet_phoenix2014-T_gloss_dict.npy", allow_pickle=True).item()
    glosses = np.load(made(stage, "corrnet") / "preprocess/phoenix2014-T/gloss_dict.npy", allow_pickle=True).item()
    for table in (glosses, words):
        assert [entry[0] for entry in table.values()] == list(range(1, len(table) + 1))
        assert list(table) == sorted(table)
        assert all(same_kind(a, b) for entry in table.values() for a, b in zip(entry, [1, 1], strict=True))


def test_readers_of_both_trees_find_the_same_frames(stage):
    """PHOENIX14T's readers look into the clip's folder, CorrNet's into ``1`` in it."""
    out = made(stage, "phoenix14t", "corrnet")
    info = np.load(out / "preprocess/phoenix2014-T/train_info.npy", allow_pickle=True).item()
    assert info == prepared_by_corrnet(out, "train")
    folders = out / RELEASE / "features/fullFrame-210x260px/train"
    for number in range(len(info) - 1):
        name = info[number]["fileid"]
        direct = sorted(Path(file).name for file in glob.glob(f"{folders}/{name}/images*.png"))
        assert direct == sorted(Path(file).name for file in glob.glob(f"{folders}/{name}/1/*.png"))
        assert len(direct) == info[number]["num_frames"] > 0
    again = stage.run("phoenix14t-corrnet", stage.settings(copies=1, gate=None, layouts=("phoenix14t", "corrnet")))
    assert again["made"] == 0
    settings = stage.settings(copies=1, gate=None, media="none", layouts=("mska",))
    of_it = stage.run("copy-of-both", settings, dataset=out, originals="copy")  # such a set can be a source, too
    assert of_it["done"] == 3


# --- SLRT -----------------------------------------------------------------------------------------------------
def slrt_list(out: Path, split: str) -> list[dict]:
    with gzip.open(out / f"slrt/phoenix-2014t.{split}", "rb") as file:
        return pickle.load(file)


def test_slrt_finds_frames_and_keypoints_by_name(stage):
    out = made(stage, "slrt", "mska")
    with open(out / "slrt/phoenix-2014t-keypoints.pkl", "rb") as file:
        keypoints = pickle.load(file)
    with zipfile.ZipFile(out / "slrt/PHOENIX2014T_videos.zip") as archive:
        assert archive.testzip() is None
        wanted = set()
        for split, count in COUNTS.items():
            clips = slrt_list(out, split)
            assert len({clip["name"] for clip in clips}) == len(clips) == count
            for clip in clips:
                assert clip["gloss"] == ORTH
                assert clip["text"] == f"{TRANSLATION} ."
                points = keypoints[clip["name"]]["keypoints"]
                assert points.shape == (clip["num_frames"], 133, 3)
                for number in range(1, clip["num_frames"] + 1):
                    name = f"images/{clip['name']}/images{number:04d}.png"
                    wanted.add(name)
                    assert size_of(archive.read(name)) == FRAME
        assert set(archive.namelist()) == wanted


def test_slrt_lists_have_the_fields_of_the_published_one(stage, shared):
    with gzip.open(shared / "data/slt_annotations/phoenix-2014t.dev", "rb") as file:
        real = pickle.load(file)
    ours = slrt_list(made(stage, "slrt", "mska"), "train")
    assert same_kind(ours, real)
    for clip in ours:
        assert set(clip) == set(real[0]) - {"alignments"}
        for key, value in clip.items():
            assert same_kind(value, real[0][key]), key
        assert (clip["sign"].shape, clip["sign"].dtype) == (real[0]["sign"].shape, real[0]["sign"].dtype)
        assert clip["name"].split("/")[0] == "train"
        assert clip["text"].endswith(" .") == real[0]["text"].endswith(" .")


# --- MSKA -----------------------------------------------------------------------------------------------------
def test_mska_reads_tensors_that_are_the_clips_keypoints(stage):
    out = made(stage, "slrt", "mska")
    for split, count in COUNTS.items():
        path = out / f"mska/Phoenix-2014T.{split}"
        with open(path, "rb") as file:
            clips = pickle.load(file)
        assert len(clips) == count
        for name, clip in clips.items():
            assert clip["name"] == name
            assert (clip["gloss"], clip["text"]) == (ORTH, f"{TRANSLATION} .")
            joints = clip["keypoint"].permute(2, 0, 1)  # as its data set does
            assert joints.dtype == torch.float32
            assert tuple(joints.shape) == (3, clip["num_frames"], 133)
            own = read_keypoints(out / "keypoints" / f"{name.split('/')[1]}.npz") if "__aug" in name else None
            if own is not None:
                assert np.array_equal(clip["keypoint"][..., :2].numpy(), own.keypoints.xy)
    again = read_keypoints(path, clip="e-5", frame_size=FRAME, fps=25.0).keypoints
    assert len(again) == CLIPS["test"]["e-5"]
