"""Which clip is compared with which, and one line for everything that does not fit."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from clip_maker import SIZE, clip, save, save_keypoints
from release_maker import write_mska, write_slrt

from signgen.errors import InputError
from signgen.keypoints import read_keypoints
from signgen.scoring.clips import find_clips
from signgen.scoring.pairing import Rules, make_plan
from signgen.video import VideoWriter

COMMON = Rules("common", "common", "resize")


def folder(root: Path, names: str, frames: int = 3, **options: object) -> Path:
    for name in names.split():
        save(clip(frames, **options), root / name)  # type: ignore[arg-type]
    return root


def video(path: Path, frames: int = 3, fps: float = 25) -> Path:
    with VideoWriter(path, SIZE, fps) as writer:
        for frame in clip(frames):
            writer.write(frame)
    return path


def data_set(root: Path, names: str, split: str = "test", frames: int = 3) -> Path:
    """A data set in PHOENIX14T's layout, with keypoints."""
    release = root / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    corpus = release / "annotations" / "manual" / f"PHOENIX-2014-T.{split}.corpus.csv"
    corpus.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}|{name}/1/*.png|-1|-1|anna|REGEN MORGEN|regen morgen" for name in names.split()]
    corpus.write_text("\n".join(["name|video|start|end|speaker|orth|translation", *lines]) + "\n")
    folder(release / "features" / "fullFrame-210x260px" / split, names, frames)
    for name in names.split():
        save_keypoints(root / "keypoints" / f"{name}.npz", np.full((frames, 2, 2), 40), np.ones((frames, 2)))
    return root


def refused(*arguments: object, **options: object) -> str:
    with pytest.raises(InputError) as error:
        make_plan(*arguments, **options)  # type: ignore[arg-type]
    return str(error.value)


# --- what a path holds ------------------------------------------------------------------------------------------------


def test_two_videos_need_no_common_name(tmp_path: Path) -> None:
    plan = make_plan([video(tmp_path / "made.mp4")], video(tmp_path / "true.mp4"))
    assert [(p.name, p.frames, p.size, p.fps) for p in plan.pairs] == [("true", 3, SIZE, 25.0)]


def test_a_video_and_a_folder_of_frames_fit(tmp_path: Path) -> None:
    plan = make_plan([video(tmp_path / "made.mp4")], save(clip(3), tmp_path / "true"))
    assert plan.pairs[0].fps == 25, "the folder knows no rate, the video does"


def test_clips_of_folders_are_matched_by_name_whatever_they_are(tmp_path: Path) -> None:
    folder(tmp_path / "true", "a b10 b9")
    folder(tmp_path / "made", "a b9")
    video(tmp_path / "made" / "b10.mp4")
    (tmp_path / "made" / "b10.json").write_text("{}")  # a manifest beside its video
    (tmp_path / "made" / "notes").mkdir()
    plan = make_plan([tmp_path / "made"], tmp_path / "true")
    assert [p.name for p in plan.pairs] == ["a", "b9", "b10"]
    assert [p.systems[0].name for p in plan.pairs] == ["a", "b9", "b10"]


def test_a_data_set_brings_its_keypoints_and_glosses(tmp_path: Path) -> None:
    true = data_set(tmp_path / "true", "y x")
    plan = make_plan([folder(tmp_path / "made", "x y")], true)
    assert [p.name for p in plan.pairs] == ["y", "x"], "in the corpus file's order"
    assert plan.split == "test"
    assert plan.pairs[0].true.entry.glosses == ("REGEN", "MORGEN")
    assert len(plan.pairs[0].read_keypoints()) == 3


def test_two_data_sets_of_one_split(tmp_path: Path) -> None:
    plan = make_plan([data_set(tmp_path / "m", "x y", "dev")], data_set(tmp_path / "t", "x y", "dev"))
    assert plan.split == "dev"
    assert "has no split 'test'" in refused([tmp_path / "m"], tmp_path / "t", split="test")


def test_a_data_set_of_several_splits_wants_one_named(tmp_path: Path) -> None:
    true = data_set(data_set(tmp_path / "true", "x", "dev"), "y", "train")
    made = folder(tmp_path / "made", "x")
    assert "--split" in refused([made], true)
    assert make_plan([made], true, split="dev").pairs[0].name == "x"
    assert "no data set" in refused([made], folder(tmp_path / "plain", "x"), split="dev")


def test_a_folder_one_inside_a_clips_is_seen(tmp_path: Path) -> None:
    save(clip(2), tmp_path / "made" / "a" / "1")
    assert find_clips(tmp_path / "made").names == ("a",)


@pytest.mark.parametrize("kind", ["nothing", "empty", "text"])
def test_a_path_without_clips(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "empty":
        path.mkdir()
    if kind == "text":
        path.mkdir()
        (path / "notes.txt").write_text("no clips")
    assert str(path) in refused([path], folder(tmp_path / "true", "a"))


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "made.mp4").write_bytes(b"no video")
    assert "made.mp4" in refused([tmp_path / "made.mp4"], video(tmp_path / "true.mp4"))


def test_two_clips_of_one_name_in_a_folder(tmp_path: Path) -> None:
    folder(tmp_path / "made", "a")
    video(tmp_path / "made" / "a.mp4")
    assert "two clips of the name a" in refused([tmp_path / "made"], folder(tmp_path / "true", "a"))


def test_two_clips_of_one_name_in_a_data_set(tmp_path: Path) -> None:
    """The page of a report finds a clip's scores by its name."""
    root = data_set(tmp_path, "a b")
    corpus = next(root.rglob("*.corpus.csv"))
    corpus.write_text(corpus.read_text() + corpus.read_text().splitlines()[1] + "\n")
    assert "repeats clip a" in refused([root], root)


def test_one_clip_against_many(tmp_path: Path) -> None:
    text = refused([video(tmp_path / "a.mp4")], folder(tmp_path / "true", "a b"))
    assert "is one clip" in text
    assert "holds 2" in text


# --- names ------------------------------------------------------------------------------------------------------------


def test_names_that_one_side_lacks_are_listed_and_counted(tmp_path: Path) -> None:
    true = folder(tmp_path / "true", "a b c d e f g h", 1)
    made = folder(tmp_path / "made", "a z", 1)
    text = refused([made], true)
    assert f"7 clips missing in {made}: b, c, d, e, f and 2 more" in text
    assert f"1 clips of {made} missing in the reference: z" in text
    assert "--names common" in text
    plan = make_plan([made], true, rules=COMMON)
    assert [p.name for p in plan.pairs] == ["a"]
    assert plan.counts["clips_left_out"] == 8
    assert any("7 clips missing" in w for w in plan.warnings)
    assert any("1 clips of" in w for w in plan.warnings)


def test_no_common_name_is_an_error_under_every_rule(tmp_path: Path) -> None:
    made, true = folder(tmp_path / "made", "a", 1), folder(tmp_path / "true", "b", 1)
    assert "shares no clip name" in refused([made], true, rules=COMMON)


def test_a_limit_asks_for_the_first_clips_only(tmp_path: Path) -> None:
    true = folder(tmp_path / "true", "a b c", 1)
    plan = make_plan([folder(tmp_path / "made", "a b", 1)], true, limit=2)
    assert [p.name for p in plan.pairs] == ["a", "b"]
    assert (plan.counts["clips"], plan.counts["clips_left_out"], plan.warnings) == (2, 0, [])
    assert "missing" in refused([tmp_path / "made"], true, limit=3)
    assert [p.name for p in make_plan([folder(tmp_path / "all", "a b c", 1)], true, limit=1).pairs] == ["a"]


def test_a_second_system_must_have_the_same_clips(tmp_path: Path) -> None:
    true, made = folder(tmp_path / "true", "a b", 2), folder(tmp_path / "made", "a b", 2)
    other = folder(tmp_path / "other", "b", 2)
    assert f"1 clips missing in {other}: a" in refused([made, other], true)
    plan = make_plan([made, other], true, rules=COMMON)
    assert [(p.name, len(p.systems)) for p in plan.pairs] == [("b", 2)]


def test_a_data_set_that_is_still_rendered_lacks_clips(tmp_path: Path) -> None:
    import shutil

    true, made = data_set(tmp_path / "true", "x y"), data_set(tmp_path / "made", "x y")
    shutil.rmtree(next(made.rglob("features")) / "fullFrame-210x260px" / "test" / "y")
    assert "1 clips missing" in refused([made], true)


# --- lengths, sizes, rates --------------------------------------------------------------------------------------------


def test_unequal_lengths(tmp_path: Path) -> None:
    true = folder(folder(tmp_path / "true", "a", 5), "b", 4)
    made = folder(folder(tmp_path / "made", "a", 3), "b", 4)
    text = refused([made], true)
    assert "1 clips of unequal length: a (5 and 3 frames)" in text
    assert "--lengths common" in text
    plan = make_plan([made], true, rules=Rules(lengths="common"))
    assert [p.frames for p in plan.pairs] == [3, 4]
    assert (plan.counts["frames"], plan.counts["frames_left_out"]) == (7, 2)
    assert "only their common first frames" in plan.warnings[0]


def test_unequal_sizes(tmp_path: Path) -> None:
    true, made = folder(tmp_path / "true", "a"), folder(tmp_path / "made", "a", size=(144, 160))
    text = refused([made], true)
    assert "1 clips of another size: a (144x160, the true one 72x80)" in text
    assert "--sizes resize" in text
    plan = make_plan([made], true, rules=Rules(sizes="resize"))
    assert plan.counts["clips_resized"] == 1
    assert "bicubic" in plan.warnings[0]
    pair = plan.pairs[0]
    assert [f.shape for f in pair.generated()] == [(80, 72, 3)] * 3


def test_everything_that_does_not_fit_is_in_one_line(tmp_path: Path) -> None:
    true = folder(tmp_path / "true", "a b")
    made = folder(folder(tmp_path / "made", "a", 2), "b", size=(64, 80))
    text = refused([made], true)
    assert "unequal length" in text
    assert "another size" in text
    assert "\n" not in text


def test_another_rate_is_a_warning(tmp_path: Path) -> None:
    plan = make_plan([video(tmp_path / "made.mp4", fps=30)], video(tmp_path / "true.mp4"))
    assert any("30 and 25 fps" in w and "compared by their number" in w for w in plan.warnings)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InputError, match="--lengths"):
        Rules(lengths="stretch")


# --- keypoints --------------------------------------------------------------------------------------------------------


def test_keypoints_of_another_length_or_frame(tmp_path: Path) -> None:
    true, made = save(clip(4), tmp_path / "true"), save(clip(4), tmp_path / "made")
    file = save_keypoints(tmp_path / "k.npz", np.full((3, 2, 2), 60), np.ones((3, 2)), size=(144, 160))
    text = refused([made], true, keypoints=file)
    assert "(144x160, the true frames 72x80)" in text
    assert "true (4 and 3 frames)" in text
    plan = make_plan([made], true, keypoints=file, rules=COMMON)
    keypoints = plan.pairs[0].read_keypoints()
    assert (len(keypoints), keypoints.size, plan.pairs[0].frames) == (3, SIZE, 3)
    assert keypoints.xy[0, 100] == pytest.approx((29.75, 29.75)), "pixel centres map to pixel centres"


def test_what_a_reader_changed_is_said(tmp_path: Path) -> None:
    true, made = folder(tmp_path / "true", "a b"), folder(tmp_path / "made", "a b")
    points = np.full((3, 2, 2), 40.0)
    save_keypoints(tmp_path / "k" / "a.npz", points, np.ones((3, 2)))
    points[1, 0] = np.inf
    save_keypoints(tmp_path / "k" / "b.npz", points, np.ones((3, 2)))
    warnings = make_plan([made], true, keypoints=tmp_path / "k").warnings
    assert sum("keypoints of 1 clips were changed: b (" in w for w in warnings) == 1, warnings


def test_keypoints_of_several_clips_are_found_by_name(tmp_path: Path) -> None:
    true, made = folder(tmp_path / "true", "a b"), folder(tmp_path / "made", "a b")
    save_keypoints(tmp_path / "k" / "a.npz", np.full((3, 2, 2), 40), np.ones((3, 2)))
    plan = make_plan([made], true, keypoints=tmp_path / "k")
    assert [p.keypoints is not None for p in plan.pairs] == [True, False]
    assert plan.counts["clips_without_keypoints"] == 1
    assert any("1 clips have no keypoints" in w and w.endswith(": b") for w in plan.warnings)
    assert "no such file" in refused([made], true, keypoints=tmp_path / "elsewhere")


@pytest.mark.parametrize("kind", ["mska", "slrt"])
def test_a_file_of_many_clips_is_read_once(tmp_path: Path, kind: str) -> None:
    """However many clips are compared, by whatever process: each reading of a data set's file takes seconds."""
    true, made = folder(tmp_path / "true", "a b"), folder(tmp_path / "made", "a b")
    points = {name: np.full((3, 133, 3), place, np.float32) for name, place in (("a", 40), ("b", 50), ("c", 60))}
    given = tmp_path / "Phoenix-2014T.test"
    if kind == "mska":
        write_mska(given, "test", points)
    else:
        write_slrt(given, points)
    alone = [read_keypoints(given, clip=name, frame_size=SIZE, fps=25.0).keypoints for name in "ab"]
    plan = make_plan([made], true, keypoints=given)
    single = make_plan([made / "a"], true / "a", keypoints=given)
    assert "no clip named d" in refused([folder(tmp_path, "d") / "d"], tmp_path / "d", keypoints=given)
    given.unlink()
    pairs = [*pickle.loads(pickle.dumps(plan.pairs)), *single.pairs]
    for pair, wanted in zip(pairs, [*alone, alone[0]], strict=True):
        found = pair.read_keypoints()
        assert np.array_equal(found.points, wanted.points)
        assert found.size == SIZE


def test_a_folder_without_any_of_the_clips_keypoints_is_refused(tmp_path: Path) -> None:
    true, made = folder(tmp_path / "true", "a b"), folder(tmp_path / "made", "a b")
    save_keypoints(tmp_path / "k" / "c.npz", np.full((3, 2, 2), 40), np.ones((3, 2)))
    assert "keypoints of none" in refused([made], true, keypoints=tmp_path / "k")


def test_the_rate_is_the_true_clips_whatever_a_system_says(tmp_path: Path) -> None:
    data = data_set(tmp_path / "data", "a")
    (tmp_path / "made").mkdir()
    video(tmp_path / "made" / "a.mp4", fps=10)
    plan = make_plan([tmp_path / "made"], data)
    assert plan.pairs[0].fps == 25
    assert "1 clips of another rate" in " ".join(plan.warnings)
    points = np.load(tmp_path / "data" / "keypoints" / "a.npz")
    np.savez(tmp_path / "data" / "keypoints" / "a.npz", **{**points, "fps": 30.0})
    assert make_plan([tmp_path / "made"], data).pairs[0].fps == 30


def test_a_folder_that_lacks_a_frame_is_refused(tmp_path: Path) -> None:
    true, made = (save(clip(9), tmp_path / name) for name in ("true", "made"))
    third = sorted(made.iterdir())[2]
    third.unlink()
    for rules in (Rules(), Rules(lengths="common")):
        with pytest.raises(InputError, match=r"made: lacks frame \d; give all frames"):
            make_plan([made], true, rules=rules)
    every_fifth = tmp_path / "fifth"
    every_fifth.mkdir()
    for number, path in enumerate(sorted(true.iterdir())):
        shutil.copy(path, every_fifth / f"frame{5 * number:04d}_a.png")
    assert make_plan([every_fifth], true).pairs[0].frames == 9


def test_clips_of_a_data_set_may_be_videos(tmp_path: Path) -> None:
    roots = [data_set(tmp_path / name, "a b") for name in ("one", "two")]
    for root in roots:
        place = root / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px/test"
        for name in ("a", "b"):
            shutil.rmtree(place / name)
            video(place / f"{name}.mp4", fps=30)
    pairs = make_plan([roots[0]], roots[1]).pairs
    assert [(pair.name, pair.frames, pair.fps) for pair in pairs] == [("a", 3, 30), ("b", 3, 30)]
    assert len(list(pairs[0].generated())) == 3
