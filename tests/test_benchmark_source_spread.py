"""Spread over sources: a case by hand, models that look at their source and that do not, and the command's output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from benches import load
from click.testing import CliRunner, Result
from PIL import Image
from test_benchmark_ablation import write_clips
from tiny_pipeline import make_pipeline, signing

from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import InputError
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import FACE, HANDS, KNUCKLES
from signgen.model import SignGenPipeline
from signgen.video import read_frames

SIZE = (210, 260)
SPREAD, HANDS_SPREAD, FACES, SSIM = range(4)


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load("source_spread")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of five frames, two of each kind."""
    folder = tmp_path_factory.mktemp("clips")
    for split in ("dev", "test"):
        write_clips(folder, split)
    return folder


@pytest.fixture(scope="module")
def clip(data: Path) -> Clip:
    return PhoenixIndex(data).clips("dev")[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_pipeline(SIZE).save_pretrained(folder)
    return folder


def person(frames: int) -> Keypoints:
    """Windows: left hand 30..89 x 170..229, right hand 120..179 x 170..229, face 81..128 x 36..83."""
    keypoints = signing(frames, SIZE)
    xy = keypoints.xy.copy()
    xy[:, HANDS[0]], xy[:, HANDS[1]], xy[:, FACE] = (60, 200), (150, 200), (105, 63)
    return replace(keypoints, xy=xy)


# ---- the measure -----------------------------------------------------------------------------------------------------


def test_spread_by_hand(bench: ModuleType) -> None:
    """Levels 0, 3, 6, 9, 12 have the deviation sqrt(18); in one channel of three the mean of channels is a third."""
    true = np.full((2, SIZE[1], SIZE[0], 3), 100, np.uint8)
    made, step = np.stack([true] * 5), 3 * np.arange(5, dtype=np.uint8)
    made[:, 0, 170:230, 30:90] += step[:, None, None, None]  # frame 0: the whole left hand
    made[:, 1, 36:42, 81:129, 0] += step[:, None, None]  # frame 1: 6 of 48 rows of the face, red alone
    found, one = bench.sums(made, true, person(2)), 18**0.5
    np.testing.assert_allclose(found[SPREAD], [one * (60 * 60 + 6 * 48 / 3) / (SIZE[0] * SIZE[1]), 2])
    np.testing.assert_allclose(found[HANDS_SPREAD], [one, 4])
    np.testing.assert_allclose(found[FACES], [one / 3 * 6 / 48, 2])

    confidence = person(2).confidence.copy()
    confidence[0, KNUCKLES[0]] = 0
    hidden = bench.sums(made, true, replace(person(2), confidence=confidence))
    np.testing.assert_allclose(hidden[HANDS_SPREAD], [0, 3])


def test_what_is_right_from_every_source_has_no_spread_and_ssim_is_the_mean_over_sources(bench: ModuleType) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 256, (2, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    right = bench.sums(np.stack([true] * 3), true, person(2))
    assert right[:3, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(right[3:, 0] / right[3:, 1], 1)
    other = true // 2
    apart = [bench.sums(frames[None], true, person(2)) for frames in (true, other)]
    both = bench.sums(np.stack([true, other]), true, person(2))
    np.testing.assert_allclose(both[3:], (apart[0] + apart[1])[3:])
    assert (both[SSIM:, 0] < right[SSIM:, 0]).all()


def test_sources_lie_around_the_frames_that_are_rendered(bench: ModuleType, clip: Clip) -> None:
    scene, true = bench.Scene.of(clip, frames=2, sources=3), list(read_frames(clip.folder))
    np.testing.assert_array_equal(scene.true, true[1:3])
    assert [source.name for source in scene.sources] == ["frame 0", "frame 3", "frame 4"]
    for source, at in zip(scene.sources, (0, 3, 4), strict=True):
        np.testing.assert_array_equal(source.image, true[at])
        np.testing.assert_array_equal(source.keypoints.xy[0], signing(5, SIZE).xy[at])
    np.testing.assert_array_equal(scene.keypoints.xy, signing(5, SIZE).xy[1:3])
    with pytest.raises(InputError, match="5 frames are too few for 3 and 3 sources") as refused:
        bench.Scene.of(clip, frames=3, sources=3)
    assert refused.value.subject == clip.name


# ---- models ----------------------------------------------------------------------------------------------------------


def test_only_a_model_that_looks_at_its_source_has_a_spread(
    bench: ModuleType, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The source's backdrop, which a render puts behind the noise of an untrained model, is not what is compared.
    monkeypatch.setattr("signgen.rendering.backdrop.Backdrop.known", False)
    pipeline, scene = make_pipeline(SIZE), bench.Scene.of(clip, frames=2, sources=2)
    looking = scene.rendered(pipeline, None, steps=1, seed=0)
    assert looking.shape == (2, 2, SIZE[1], SIZE[0], 3)
    assert bench.sums(looking, scene.true, scene.keypoints)[SPREAD, 0] > 0

    encode = SignGenPipeline.encode_source
    grey = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    monkeypatch.setattr(SignGenPipeline, "encode_source", lambda self, image, pose=None: encode(self, grey))
    blind = bench.sums(scene.rendered(pipeline, None, steps=1, seed=0), scene.true, scene.keypoints)
    assert blind[:3, 0].tolist() == [0, 0, 0]


def run(bench: ModuleType, data: Path, *arguments: object) -> Result:
    given = [*arguments, "--known", data, "--new", data, "--frames", 2, "--sources", 3, "--steps", 1]
    return CliRunner().invoke(bench.main, [str(argument) for argument in given], catch_exceptions=False)


def test_the_command_writes_a_table_and_a_sheet_and_goes_on(
    bench: ModuleType, data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, picture = tmp_path / "spread.json", tmp_path / "sheet.png"
    arguments = [f"one={model}", f"two={model}", "--renders", tmp_path / "renders", "--json", out]
    done = run(bench, data, *arguments, "--sheet", picture, "--sheet-clips", 1)
    assert done.exit_code == 0
    assert "## known signers, 2 clips, 4 frames" in done.stdout
    rows = json.loads(out.read_text())["rows"]
    assert [(row["model"], row["kind"]) for row in rows] == [
        (name, kind) for name in (bench.COPY, "one", "two") for kind in ("known", "new")
    ]
    for row in rows:
        for name in bench.MEASURES:
            top, bottom = np.sum(row[name]["sums"], 0)
            assert row[name]["value"] == pytest.approx(top / bottom)
    text = next(line for line in done.stdout.splitlines() if line.startswith("| two less one"))
    assert text.split(" | ")[1:3] == ["+0.00 (+0.00 to +0.00)"] * 2
    assert Image.open(picture).size == (4 * SIZE[0], 2 * 3 * SIZE[1])
    shown, scene = np.asarray(Image.open(picture)), bench.Scene.of(PhoenixIndex(data).clips("dev")[0], 2, 3)
    np.testing.assert_array_equal(shown[: SIZE[1], : SIZE[0]], scene.true[1])
    np.testing.assert_array_equal(shown[: SIZE[1], SIZE[0] : 2 * SIZE[0]], scene.sources[0].image)

    monkeypatch.setattr("drawn_clips.render", lambda *_, **__: pytest.fail("rendered again"))
    assert run(bench, data, *arguments).stdout == done.stdout
    with pytest.raises(InputError, match="was rendered with other seed"):
        run(bench, data, *arguments, "--seed", 1)


def test_differences_are_those_of_the_same_clips(bench: ModuleType) -> None:
    level = np.random.default_rng(0).normal(20, 8, (8, 1))  # clips differ by much more than the models do
    rows = []
    for name, less in ((bench.COPY, -9), ("b3", 0), ("b6", 2)):
        table = np.ones((8, len(bench.MEASURES), 2))
        table[:, :, 0] = level - less
        rows.append({"kind": "new", "model": name, **bench.summary(table, 0)})
    lines = bench.document(rows, "b3", 0).splitlines()
    assert any(line.startswith("| b6 less b3 | -2.00 (-2.00 to -2.00) |") for line in lines)
    assert not any(line.startswith((f"| {bench.COPY} less", "| b3 less")) for line in lines)


def test_nothing_to_measure_is_said(bench: ModuleType) -> None:
    table = np.ones((2, len(bench.MEASURES), 2))
    table[:, HANDS_SPREAD] = 0
    rows = [{"kind": "new", "model": name, **bench.summary(table, 0)} for name in ("b3", "b6")]
    lines = [line for line in bench.document(rows, "b3", 0).splitlines() if line.startswith("| b")]
    assert [line.split(" | ")[2] for line in lines] == ["none"] * 3


def test_wrong_use_is_told(bench: ModuleType, data: Path, model: Path) -> None:
    for arguments, words in (
        ((f"b3={model}", "--against", "b9"), "choose one of the models: b3"),
        ((f"b3={model}", f"b3={model}"), "each name once"),
        ((f"{bench.COPY}={model}",), "that name is taken"),
        ((f"b3={data}",), "no readable model_index.json"),
        (("b3=nowhere",), "no such model"),
    ):
        with pytest.raises(InputError, match=words):
            run(bench, data, *arguments)
