"""The PHOENIX14T benchmark: systems, sources, tables, resuming, and the frozen test split, on tiny data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import make_pipeline, signing

from signgen.dataset.phoenix import PhoenixIndex
from signgen.errors import InputError
from signgen.video import read_frames

FRAMES, SIZE = 9, (210, 260)
CLIPS = {"a-1": "s1", "b.2": "s2", "c-3": "s1"}


@pytest.fixture(scope="module", autouse=True)
def scripts() -> None:
    folder = str(Path(__file__).resolve().parent.parent / "benchmarks")
    if folder not in sys.path:
        sys.path.insert(0, folder)


@pytest.fixture(scope="module")
def systems() -> ModuleType:
    import phoenix14t_systems

    return phoenix14t_systems


@pytest.fixture
def bench(systems: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import phoenix14t

    monkeypatch.setattr(
        systems.SignGenPipeline, "from_pretrained", lambda model, **options: make_pipeline(SIZE), raising=True
    )
    return phoenix14t


def picture(level: int) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), level, np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of two signers; frames of a clip brighten by 10 levels, and clip c-3 is the darkest."""
    folder = tmp_path_factory.mktemp("phoenix")
    release = folder / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    lines = ["name|video|start|end|speaker|orth|translation"]
    corpus = release / "annotations" / "manual" / "PHOENIX-2014-T.test.corpus.csv"
    for made in (corpus.parent, folder / "keypoints"):
        made.mkdir(parents=True)
    for (name, speaker), level in zip(CLIPS.items(), (100, 60, 0), strict=True):
        frames = release / "features" / "fullFrame-210x260px" / "test" / name
        frames.mkdir(parents=True)
        for number in range(FRAMES):
            Image.fromarray(picture(level + 10 * number)).save(frames / f"images{number + 1:04d}.png")
        lines.append(f"{name}|{name}/1/*.png|-1|-1|{speaker}|REGEN HEUTE|regen heute")
        person = signing(FRAMES, SIZE)
        points = np.concatenate([person.xy, person.confidence[..., None]], -1)
        np.savez(folder / "keypoints" / f"{name}.npz", keypoints=points, width=SIZE[0], height=SIZE[1], fps=25.0)
    corpus.write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("name", "steps", "part"),
    [("copy", None, None), ("mini-1", 1, None), ("mini-20-nocva", 20, "nocva"), ("mini-4-nofusion", 4, "nofusion")],
)
def test_names_of_systems(systems: ModuleType, name: str, steps: int | None, part: str | None) -> None:
    system = systems.System.parse(name, "mini")
    assert (system.name, system.steps, system.part) == (name, steps, part)


@pytest.mark.parametrize("name", ["mini", "mini-0", "other-1", "mini-1-nothing", "mini-1-"])
def test_other_names_are_refused(systems: ModuleType, name: str) -> None:
    with pytest.raises(InputError, match="--systems"):
        systems.System.parse(name, "mini")


def test_sources(systems: ModuleType, data: Path) -> None:
    clips = PhoenixIndex(data).clips("test")
    frames = systems.SourceFrames(clips)
    first, second, third = clips
    assert frames.place(first, "first") == (first, 0)
    assert frames.place(first, "middle") == (first, 4)
    assert frames.place(first, "least-similar") == (third, 0)  # the same signer's darkest frame
    assert frames.place(second, "least-similar")[0] == second  # nobody else is that signer
    source = frames.load(first, "least-similar")
    assert source.image.max() == 0
    assert len(source.keypoints) == 1


def _frames(models, systems: ModuleType, name: str, data: Path, out: Path) -> np.ndarray:
    clip = PhoenixIndex(data).clips("test")[0]
    source = systems.SourceFrames((clip,)).load(clip, "first")
    systems.make_clip(systems.System.parse(name, "mini"), clip, source, models, out / name, seed=0)
    return np.stack(list(read_frames(out / name)))


def test_parts_are_switched_off(bench: ModuleType, systems: ModuleType, data: Path, tmp_path: Path) -> None:
    models = systems.Models("mini")
    made = {
        name: _frames(models, systems, name, data, tmp_path)
        for name in ("mini-1", "mini-1-nocva", "mini-1-alone", "mini-1-nofusion", "copy", "autoencoder")
    }
    assert {frames.shape for frames in made.values()} == {(FRAMES, SIZE[1], SIZE[0], 3)}
    for name, frames in made.items():
        assert name == "mini-1" or (frames != made["mini-1"]).any(), name
    assert (made["copy"] == 100).all()
    # Without cross-view attention a frame depends on no other: in windows of its own it is the same.
    alone = systems.System("mini-1-alone", 1, "alone")
    clip = PhoenixIndex(data).clips("test")[0]
    stripped = systems.Models("mini")
    stripped._loaded[False] = models.get("nocva")
    systems.make_clip(alone, clip, systems.SourceFrames((clip,)).load(clip, "first"), stripped, tmp_path / "x", 0)
    again = np.stack(list(read_frames(tmp_path / "x")))
    assert np.abs(again.astype(int) - made["mini-1-nocva"]).max() <= 1


def test_null_fusion_is_what_guidance_evaluates(bench: ModuleType, systems: ModuleType) -> None:
    from signgen.model.diffusion.guidance import branch_weights

    pipeline = systems.Models("mini").get()
    options = systems.part_options(systems.System("mini-1-nofusion", 1, "nofusion"), pipeline)
    assert branch_weights(*options["guidance"]) == {"source": 1.0}


def test_it_goes_on_where_it_was_stopped(bench: ModuleType, data: Path, tmp_path: Path, monkeypatch) -> None:
    calls: list[str] = []

    def evaluated(folder: Path, clips: tuple, root: Path, **options: object) -> dict:
        calls.append(folder.name)
        value = 0.5 + 0.1 * len(calls)
        return {
            "metrics": {"ssim_wang": value, "hand_pe": None},
            "intervals": {"ssim_wang": [value - 0.1, value + 0.1]},
            "counts": {"clips": len(clips)},
            "not_computed": {"hand_pe": "no detector"},
            "signatures": {"ssim_wang": "s"},
        }

    monkeypatch.setattr(bench, "evaluate_system", evaluated)
    options = ["--data", data, "--out", tmp_path, "--limit", 2, "--systems", "copy,autoencoder,mini-1"]
    options = [str(option) for option in [*options, "--sources", "first,least-similar"]]
    made = bench.make_clip
    rendered: list[str] = []

    def counted(system, clip, *others):
        if len(rendered) == 3:
            rendered.append("stopped")
            raise KeyboardInterrupt
        rendered.append(f"{system.name} {clip.name}")
        made(system, clip, *others)

    monkeypatch.setattr(bench, "make_clip", counted)
    CliRunner().invoke(bench.main, options)
    assert "stopped" in rendered
    assert not calls
    done = CliRunner().invoke(bench.main, options, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert len(rendered) == 1 + 2 * 5  # copy and mini-1 with two sources, the autoencoder once; none twice
    assert calls == ["copy@first", "copy@least-similar", "autoencoder", "mini-1@first", "mini-1@least-similar"]
    CliRunner().invoke(bench.main, options, catch_exceptions=False)
    assert len(calls) == 5
    assert len(rendered) == 11
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["source"] for row in results["rows"]] == [
        "first", "least-similar", None, "first", "least-similar",
    ]  # fmt: skip
    text = (tmp_path / "results.md").read_text()
    assert "| copy | – |" in text
    assert "0.6000 (0.5000 to 0.7000)" in text
    assert "| mini-1 | SSIM wang | 0.9000 | 1.0000 | 0.1000 |" in text
    assert text.count("reported, its own data and evaluator |") == 7
    other = CliRunner().invoke(bench.main, [*options, "--seed", "1"])
    assert isinstance(other.exception, InputError)
    assert "other seed" in str(other.exception)
    moved = tmp_path / "moved"  # keypoints of another estimator: what was rendered from the first ones is not theirs
    moved.mkdir()
    for path in (data / "keypoints").iterdir():
        points = dict(np.load(path))
        np.savez(moved / path.name, **{**points, "keypoints": points["keypoints"] + np.float32([1, 0, 0])})
    other = CliRunner().invoke(bench.main, [*options, "--keypoints", str(moved)])
    assert "other keypoints" in str(other.exception)


def test_a_data_set_without_keypoints_is_refused(bench: ModuleType, data: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    options = ["--data", str(data), "--keypoints", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    failed = CliRunner().invoke(bench.main, options)
    assert "3 clips have no keypoints, such as a-1" in str(failed.exception)


def test_reported_rows_are_those_of_the_paper() -> None:
    from phoenix14t_table import REPORTED

    assert REPORTED["FPDM (its first version)"] == {
        "ssim_win51": 0.886, "hand_ssim": 0.6816, "hand_pe": 21.43, "fid": 5.129,
    }  # fmt: skip
    assert REPORTED["SignViP"] == {}
    assert len(REPORTED) == 7


def test_the_frozen_split_knows_its_own_frames(tmp_path: Path) -> None:
    import synth_phoenix

    content = synth_phoenix.frozen()
    assert len(content["sha256"]) == content["settings"]["clips"] == 24
    assert synth_phoenix.digest_of(content["sha256"]) == content["digest"]
    small = {**content["settings"], "clips": 1, "signers": ["h01"], "frames": [8, 8], "size": [48, 60]}
    path = tmp_path / "frozen.json"
    path.write_text(json.dumps({"settings": small}))
    synth_phoenix.freeze(tmp_path / "data", path)
    assert synth_phoenix.frozen_test(tmp_path / "data", path=path) == tmp_path / "data"
    clip = PhoenixIndex(tmp_path / "data").clips("test")[0]
    frame = np.array(Image.open(clip.frames[3]))
    frame[5, 5, 0] ^= 1  # what another CPU may round otherwise
    Image.fromarray(frame).save(clip.frames[3])
    assert synth_phoenix.clip_sha256(clip) not in json.loads(path.read_text())["sha256"].values()
    assert synth_phoenix.frozen_test(tmp_path / "data", path=path) == tmp_path / "data"
    frame[20:40, 10:30] = 255 - frame[20:40, 10:30]
    Image.fromarray(frame).save(clip.frames[3])
    with pytest.raises(InputError, match="1 of 1 clips are not the frozen ones"):
        synth_phoenix.frozen_test(tmp_path / "data", path=path)


def test_fingerprints_tell_clips_apart(tmp_path: Path) -> None:
    import synth_phoenix

    prints = list(synth_phoenix.frozen()["prints"].values())
    pairs = [(i, j) for i, one in enumerate(prints) for j, other in enumerate(prints)
             if synth_phoenix.shows_the_same(one, other)]  # fmt: skip
    assert pairs == [(i, i) for i in range(24)]


def test_another_content_version_is_refused(tmp_path: Path) -> None:
    import synth_phoenix

    path = tmp_path / "frozen.json"
    path.write_text(json.dumps({"settings": {"version": -1}, "sha256": {}}))
    with pytest.raises(InputError, match="content version -1"):
        synth_phoenix.frozen_test(tmp_path / "data", path=path)
