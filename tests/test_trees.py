"""Data sets as they lie on disk elsewhere: JPEG frames, other sizes, videos, PHOENIX-2014, CSL-Daily, How2Sign."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from augment_maker import HEADER, Stage, clip_points, digests
from click.testing import CliRunner
from PIL import Image
from release_maker import picture, write_slrt
from tiny_pipeline import FRAME

from signgen.augmentation.origin import open_dataset
from signgen.augmentation.variation import Variation
from signgen.cli import main
from signgen.dataset.keypoint_source import read_clip_points
from signgen.dataset.phoenix import PhoenixIndex, count_frames, list_frames
from signgen.dataset.prepared import open_prepared
from signgen.dataset.survey import image_size
from signgen.dataset.trees import read_list
from signgen.errors import Damaged, NotFound, Untrusted
from signgen.keypoints import write_keypoints
from signgen.video import VideoWriter, read_image

CLIPS = {"train": {"a-1": 5, "b-2": 4}, "dev": {"c-3": 3}, "test": {"d-4": 4}}
Namer = Callable[[str, int], str]


def all_clips() -> list[tuple[str, str, int]]:
    return [(split, name, count) for split, clips in CLIPS.items() for name, count in clips.items()]


def write_frames(folder: Path, clip: str, count: int, name: Namer) -> None:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        path = folder / name(clip, number)
        lossless = {"lossless": True} if path.suffix == ".webp" else {}
        Image.fromarray(picture(clip, number, FRAME)).save(path, **lossless)


def write_video(path: Path, clip: str, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, FRAME, 25.0) as writer:
        for number in range(1, count + 1):
            writer.write(picture(clip, number, FRAME))


def write_points(root: Path) -> None:
    (root / "keypoints").mkdir(exist_ok=True)
    for _, name, count in all_clips():
        write_keypoints(clip_points(name, count), root / "keypoints" / f"{name}.npz")


# --- the trees ------------------------------------------------------------------------------------------------
def phoenix14t(root: Path, frames: str, name: Namer, inner: str = "", video: bool = False) -> Path:
    release = root / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
    (release / "annotations/manual").mkdir(parents=True)
    for split, clips in CLIPS.items():
        rows = [f"{clip}|{clip}/1/*.png|-1|-1|Signer01|REGEN|regen" for clip in clips]
        path = release / f"annotations/manual/PHOENIX-2014-T.{split}.corpus.csv"
        path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    for split, clip, count in all_clips():
        if video:
            write_video(release / frames / split / f"{clip}.mp4", clip, count)
        else:
            write_frames(release / frames / split / clip / inner, clip, count, name)
    write_points(root)
    return root


def jpeg(root: Path) -> Path:
    return phoenix14t(root, "features/fullFrame-210x260px", lambda clip, n: f"images{n:04d}.jpg", inner="1")


def webp(root: Path) -> Path:
    return phoenix14t(root, "features/fullFrame-256x256px", lambda clip, n: f"images{n:04d}.webp")


def smaller(root: Path) -> Path:
    return phoenix14t(root, "features/fullFrame-256x256px", lambda clip, n: f"images{n:04d}.png")


def videos(root: Path) -> Path:
    return phoenix14t(root, "videos", lambda clip, n: "", video=True)


def phoenix_2014(root: Path) -> Path:
    release = root / "phoenix2014-release/phoenix-2014-multisigner"
    (release / "annotations/manual").mkdir(parents=True)
    for split, clips in CLIPS.items():
        rows = [f"{clip}|{clip}/1/*.png|Signer04|__ON__ REGEN" for clip in clips]
        text = "\n".join(["id|folder|signer|annotation", *rows])
        (release / f"annotations/manual/{split}.corpus.csv").write_text(text)
    for split, clip, count in all_clips():
        folder = release / "features/fullFrame-210x260px" / split / clip / "1"
        write_frames(folder, clip, count, lambda clip, n: f"01April_2010_heute.avi_pid0_fn{n + 99:06d}-0.png")
    write_points(root)
    return root


def csl_daily(root: Path, labels: bool = True) -> Path:
    release = root / "CSL-Daily"
    (release / "sentence_label").mkdir(parents=True)
    lines = [f"{clip}|{split}" for split, clip, _ in all_clips()]
    (release / "sentence_label/split_1.txt").write_text("\n".join(["name|split", *lines]), encoding="utf-8")
    said = {"label_gloss": ["今天", "下雨"], "label_char": ["今", "天", "下", "雨"], "signer": 4}
    info = [{"name": clip, "length": count, **said} for _, clip, count in all_clips()]
    if labels:
        (release / "sentence_label/csl2020ct_v2.pkl").write_bytes(pickle.dumps({"info": info}))
    else:
        rows = [f"{i}|{clip}|{count}|今天 下雨|今 天|_|_" for i, (_, clip, count) in enumerate(all_clips())]
        text = "\n".join(["index|name|length|gloss|char|word|postag", *rows])
        (release / "sentence_label/video_map.txt").write_text(text, encoding="utf-8")
    for _, clip, count in all_clips():
        folder = release / "sentence/frames_512x512" / clip
        write_frames(folder, clip, count, lambda clip, n: f"{n - 1:06d}.jpg")
    write_points(root)
    return root


def how2sign(root: Path) -> Path:
    """Sentences' videos, and OpenPose's folders, which are the keypoints."""
    head = "VIDEO_ID\tVIDEO_NAME\tSENTENCE_ID\tSENTENCE_NAME\tSTART_REALIGNED\tEND_REALIGNED\tSENTENCE"
    for split, clips in CLIPS.items():
        place = root / "How2Sign/sentence_level" / {"dev": "val"}.get(split, split)
        rows = [f'x\tx\tx\t{how2sign_name(clip)}\t0\t1\tIt will "rain".' for clip in clips]
        texts = place / "text/en/raw_text/re_aligned"
        texts.mkdir(parents=True)
        (texts / f"how2sign_realigned_{place.name}.csv").write_text("\n".join([head, *rows]))
        for clip, count in clips.items():
            name = how2sign_name(clip)
            write_video(place / "rgb_front/raw_videos" / f"{name}.mp4", clip, count)
            folder = place / "rgb_front/features/openpose_output/json" / name
            folder.parent.mkdir(parents=True, exist_ok=True)
            write_keypoints(clip_points(clip, count), folder, "openpose")
    return root


def how2sign_name(clip: str) -> str:
    return f"-g0iPSnQt6w_{clip}-1-rgb_front"


TREES: dict[str, Callable[[Path], Path]] = {
    "jpeg": jpeg, "webp": webp, "fullFrame-256x256px": smaller, "videos": videos, "phoenix-2014": phoenix_2014,
    "csl-daily": csl_daily, "how2sign": how2sign,
}  # fmt: skip


def run(*arguments: object) -> tuple[int, str, dict]:
    done = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    return done.exit_code, done.stderr, json.loads(done.stdout) if done.exit_code == 0 else {}


@pytest.mark.parametrize("tree", TREES)
def test_inspect_finds_every_frame_of_every_clip(tmp_path: Path, tree: str) -> None:
    for check in ("ends", "pixels"):
        root = tmp_path / check
        code, said, report = run("inspect", TREES[tree](root), "--check", check, "--jobs", 1)
        assert code == 0, said
        assert report["frame_size"] == list(FRAME)
        for split, clips in CLIPS.items():
            part = report["splits"][split]
            assert (part["clips"], part["usable_clips"]) == (len(clips), len(clips)), part["left_out"]
            assert part["usable_frames"] == sum(clips.values())
            assert part["folders_without_row"] == []


def test_each_clip_is_found_where_it_lies(tmp_path: Path) -> None:
    """Frames of some clips and videos of others, in one split, too."""
    root = jpeg(tmp_path)
    release = root / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
    for split, clip, count in (("train", "b-2", 4), ("dev", "c-3", 3)):
        shutil.rmtree(release / "features/fullFrame-210x260px" / split / clip)
        write_video(release / "videos" / split / f"{clip}.mp4", clip, count)
    assert {clip.name: clip.folder.is_file() for clip in PhoenixIndex(root)} == {
        "a-1": False, "b-2": True, "c-3": True, "d-4": False,
    }  # fmt: skip
    _, said, report = run("inspect", root, "--jobs", 1)
    assert [part["usable_clips"] for part in report["splits"].values()] == [2, 1, 1], said


@pytest.mark.parametrize("tree", TREES)
def test_prepare_reads_them(tmp_path: Path, tree: str) -> None:
    root, out = TREES[tree](tmp_path / "data"), tmp_path / "out"
    code, said, _ = run("prepare", root, out, "--triplets", 5, "--jobs", 1)
    assert code == 0, said
    for split, clips in CLIPS.items():
        for frames in (True, False):
            cache = open_prepared(out, split, frames=frames)
            read = cache.frames[np.arange(sum(clips.values()))].astype(int)
            wanted = [picture(name, n, FRAME) for name, count in clips.items() for n in range(1, count + 1)]
            apart = np.abs(read - np.array(wanted, int))
            lossy = tree in ("jpeg", "videos", "csl-daily", "how2sign")
            assert apart.mean() < (12 if lossy else 1e-9)
            blues = read[..., 2].mean((1, 2))
            assert lossy or np.allclose(blues, np.array(wanted)[..., 2].mean((1, 2)))
        points = np.concatenate([clip_points(name, count).xy for name, count in clips.items()])
        seen = cache.keypoints[..., 2] > 0
        assert np.abs(cache.keypoints[..., :2] - points)[seen].max() < 0.01


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("trees"))


@pytest.mark.parametrize("tree", TREES)
def test_augment_signs_them_again(tmp_path: Path, stage: Stage, tree: str) -> None:
    root = TREES[tree](tmp_path / "data")
    settings = stage.settings(copies=1, gate=None, layouts=("phoenix14t",), splits=("dev",), steps=1)
    stage.run(str(tmp_path / "out"), settings, dataset=root)
    index = PhoenixIndex(tmp_path / "out")
    name = how2sign_name("c-3") if tree == "how2sign" else "c-3"
    old, new = index.clips("dev")
    assert (old.name, new.name) == (name, f"{name}__aug01")
    assert count_frames(new.folder) == 3
    assert (old.glosses, old.translation) == (new.glosses, new.translation)
    names = [f"images{number:04d}.png" for number in (1, 2, 3)]  # whatever they were
    assert [path.name for path in old.frames] == [path.name for path in new.frames] == names
    with Image.open(old.frames[1]) as image:
        assert (image.format, image.size) == ("PNG", FRAME)
    [true] = PhoenixIndex(root).clips("dev")
    assert np.array_equal(list(old.pictures()), list(true.pictures()))
    assert old.keypoints is not None
    assert len(read_clip_points(old.keypoints, name).points) == 3
    if tree in ("csl-daily", "how2sign"):
        records = [json.loads(line) for path in (tmp_path / "out").rglob("*.jsonl") for line in path.open()]
        assert any("whose licence holds" in str(record.get("licence")) for record in records)


def test_keypoints_that_are_asked_for_are_taken(tmp_path: Path) -> None:
    """Not those that the data set has brought along, which are of another estimator."""
    root, given, out = how2sign(tmp_path / "data"), tmp_path / "hrnet", tmp_path / "out"
    for folder in (given, out):
        folder.mkdir()
    points = {how2sign_name(clip): clip_points(clip, count).points for _, clip, count in all_clips() if clip != "c-3"}
    write_slrt(given / "of-many.pkl", points)
    places = {clip.name: clip.keypoints for clip in open_dataset(root, [given], out)}
    assert places[how2sign_name("c-3")] is None
    assert all(str(place).startswith(str(out)) for place in places.values() if place is not None)


def test_line_ends_of_unicode_end_no_line_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes("name|text\r\na|rain\u2028and \x85 fog\r\n\r\nb|sun\n".encode())
    _, listed = read_list(path, ("name", "text"))
    assert listed == [(2, {"name": "a", "text": "rain\u2028and \x85 fog"}), (4, {"name": "b", "text": "sun"})]


def test_a_picture_that_is_turned_has_the_size_it_is_read_with(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: a quarter turn
    Image.new("RGB", FRAME[::-1]).save(tmp_path / "images0001.jpg", exif=turned)
    assert image_size(tmp_path / "images0001.jpg") == read_image(tmp_path / "images0001.jpg").shape[1::-1] == FRAME


def is_warned(result: dict[str, Any], clips: int) -> bool:
    return [line.partition(" clips of the data set are no PNG files")[0] for line in result["warnings"]] == [str(clips)]


@pytest.mark.parametrize("tree", ["webp", "videos"])
def test_readers_of_png_frames_find_them(tmp_path: Path, stage: Stage, tree: str) -> None:
    """In both trees and in SLRT's zip; once written they stay."""
    root, out = TREES[tree](tmp_path / "data"), tmp_path / "out"
    layouts = ("phoenix14t", "corrnet", "slrt")
    settings = stage.settings(copies=1, gate=None, layouts=layouts, splits=("dev",), steps=1)
    assert is_warned(stage.run(str(out), settings, dataset=root, jobs=1 + (tree == "webp")), 4)
    frames = out / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px"
    true = {clip.name: list(clip.pictures()) for clip in PhoenixIndex(root)}
    with zipfile.ZipFile(out / "slrt/PHOENIX2014T_videos.zip") as archive:
        for split, clip, count in all_clips():
            info = np.load(out / f"preprocess/phoenix2014-T/{split}_info.npy", allow_pickle=True).item()
            listed = sorted(frames.glob(info[0]["folder"]))
            assert len(listed) == info[0]["num_frames"] == CLIPS[split][info[0]["fileid"]]
            for number in range(1, count + 1):
                name = f"images{number:04d}.png"
                data = archive.read(f"images/{split}/{clip}/{name}")
                assert data == (frames / split / clip / name).read_bytes()
                assert data == (frames / split / clip / "1" / name).read_bytes()
                with Image.open(io.BytesIO(data)) as image:
                    assert image.format == "PNG"
                    assert np.array_equal(image, true[clip][number - 1])
    before = {path: path.stat().st_mtime_ns for path in frames.rglob("*.png")}
    stage.run(str(out), settings, dataset=root, originals="copy")
    assert {path: path.stat().st_mtime_ns for path in frames.rglob("*.png")} == before


def test_the_zip_alone_has_png_frames(tmp_path: Path, stage: Stage) -> None:
    root, out = jpeg(tmp_path / "data"), tmp_path / "out"
    settings = stage.settings(copies=1, gate=None, layouts=("slrt",), splits=("dev",), steps=1)
    assert is_warned(stage.run(str(out), settings, dataset=root), 4)
    with zipfile.ZipFile(out / "slrt/PHOENIX2014T_videos.zip") as archive:
        assert {Image.open(archive.open(name)).format for name in archive.namelist()} == {"PNG"}
        assert len(archive.namelist()) == sum(count for _, _, count in all_clips()) + 3
    assert stage.run(str(out), settings, dataset=root, originals="none")["warnings"] == []


@pytest.mark.parametrize("tree", ["videos", "how2sign"])
def test_videos_beside_videos_stay_videos(tmp_path: Path, stage: Stage, tree: str) -> None:
    root, out = TREES[tree](tmp_path / "data"), tmp_path / "out"
    settings = stage.settings(copies=1, gate=None, media="mp4", splits=("dev",), steps=1)
    for originals in ("link", "copy"):
        assert stage.run(str(out), settings, dataset=root, originals=originals)["warnings"] == []
        for clip in PhoenixIndex(out):
            place = out / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T/videos" / clip.split / f"{clip.name}.mp4"
            assert clip.folder == place
            assert place.is_symlink() == (originals == "link" and not clip.name.endswith("__aug01"))
        _, _, report = run("inspect", out, "--jobs", 1)
        assert [part["usable_clips"] for part in report["splits"].values()] == [2, 2, 1]


@pytest.mark.parametrize("layouts", [("phoenix14t",), ("corrnet",), ("phoenix14t", "corrnet")])
@pytest.mark.parametrize("tree", ["fullFrame-256x256px", "phoenix-2014", "videos"])
def test_originals_are_where_the_data_set_is(tmp_path: Path, stage: Stage, tree: str, layouts: tuple[str, ...]) -> None:
    """Links after a move lead to the new place, copies take the place of links, and nothing else is touched."""
    root, out = TREES[tree](tmp_path / "data"), tmp_path / "out"
    settings = stage.settings(copies=1, gate=None, layouts=layouts, splits=("dev",), steps=1)
    stage.run(str(out), settings, dataset=root)
    assert any(str(root) in os.readlink(path) for path in out.rglob("*") if path.is_symlink())
    copies = {path: path.stat().st_mtime_ns for path in out.rglob("*") if "__aug01" in str(path)}
    moved = root.rename(tmp_path / "moved")
    before = digests(moved)
    for originals in ("link", "copy"):
        stage.run(str(out), settings, dataset=moved, originals=originals)
        leads = {os.readlink(path) for path in out.rglob("*") if path.is_symlink()} - {"."}
        assert bool(leads) == (originals == "link")
        assert all(place.startswith(str(moved)) for place in leads)
        for old, true in zip(PhoenixIndex(out).clips("train"), PhoenixIndex(moved).clips("train"), strict=True):
            assert np.array_equal(list(old.pictures()), list(true.pictures()))
            assert old.keypoints is not None
    assert digests(moved) == before
    assert {path: path.stat().st_mtime_ns for path in copies} == copies
    assert not list(out.rglob(".signgen-*"))


def test_a_plan_counts_originals_that_are_written_as_png(tmp_path: Path, stage: Stage) -> None:
    root = videos(tmp_path / "data")
    settings = stage.settings(copies=1, gate=None, splits=("dev",), steps=1, variation=Variation())
    for originals, frames in (("link", 3 + 16), ("copy", 3 + 16), ("none", 3)):
        result = stage.run(str(tmp_path / "out"), settings, dataset=root, originals=originals, dry_run=True)
        assert result["plan"]["left"]["bytes"] == pytest.approx(frames * result["plan"]["bytes_per_frame"], rel=0.01)


def test_what_is_signed_is_read(tmp_path: Path) -> None:
    clip = PhoenixIndex(csl_daily(tmp_path / "csl")).clips("train")[0]
    assert (clip.speaker, clip.glosses, clip.translation) == ("Signer04", ("今天", "下雨"), "今天下雨")
    clip = PhoenixIndex(csl_daily(tmp_path / "map", labels=False)).clips("train")[0]
    assert clip.glosses == ("今天", "下雨")
    clip = PhoenixIndex(how2sign(tmp_path / "h2s")).clips("dev")[0]
    assert (clip.speaker, clip.glosses, clip.translation) == ("Signer01", (), 'It will "rain".')
    clip = PhoenixIndex(phoenix_2014(tmp_path / "2014")).clips("test")[0]
    assert (clip.speaker, clip.glosses) == ("Signer04", ("__ON__", "REGEN"))


# --- what is wrong --------------------------------------------------------------------------------------------
def test_where_frames_are_not_found_the_line_says_what_lies_there(tmp_path: Path) -> None:
    root = jpeg(tmp_path)
    folder = root / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px/dev/c-3/1"
    for path in folder.iterdir():
        path.rename(path.with_suffix(".tif"))
    code, _, report = run("inspect", root, "--jobs", 1)
    assert code == 0
    ((name, why),) = report["splits"]["dev"]["left_out"]
    assert name == "c-3"
    assert "images0001.png" in why
    assert "3 .tif" in why or "1 folders" in why


def test_no_data_set_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    with pytest.raises(NotFound) as error:
        PhoenixIndex(tmp_path)
    for words in ("PHOENIX-2014-T", "split_1.txt", "how2sign_realigned", "there: 1 folders"):
        assert words in str(error.value)


def test_a_hole_in_numbered_frames_is_named(tmp_path: Path) -> None:
    root = csl_daily(tmp_path)
    (root / "CSL-Daily/sentence/frames_512x512/a-1/000002.jpg").unlink()
    listing = list_frames(root / "CSL-Daily/sentence/frames_512x512/a-1")
    assert (len(listing.files), listing.missing) == (4, (2,))
    _, _, report = run("inspect", root, "--jobs", 1)
    assert report["splits"]["train"]["left_out"] == [["a-1", "lacks frame 2 (1 of 5)"]]


def test_a_cut_picture_is_found_without_decoding(tmp_path: Path) -> None:
    root = jpeg(tmp_path)
    path = next(root.rglob("c-3/1/images0002.jpg"))
    path.write_bytes(path.read_bytes()[:-200])
    _, _, report = run("inspect", root, "--jobs", 1)
    assert report["splits"]["dev"]["left_out"] == [["c-3", "images0002.jpg is damaged or cut off"]]


@pytest.mark.parametrize("name", ["../a-1", "a/b", ".."])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    root = csl_daily(tmp_path)
    path = root / "CSL-Daily/sentence_label/split_1.txt"
    path.write_text(path.read_text().replace("a-1", name))
    with pytest.raises(Untrusted):
        PhoenixIndex(root).clips("train")


def test_labels_that_run_code_are_refused(tmp_path: Path) -> None:
    root = csl_daily(tmp_path)
    (root / "CSL-Daily/sentence_label/csl2020ct_v2.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises((Untrusted, Damaged)):
        PhoenixIndex(root).clips("train")
