"""The refiner stages on a tiny model: painted, cut, trained, put into the model, and rendered with."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from release_maker import make_release, write_npz
from tiny_pipeline import make_pipeline, picture, signing

from signgen import config as configuration
from signgen.dataset import region_store
from signgen.dataset.cache import FrameCache, build_cache
from signgen.dataset.coarse import read_coarse, render_coarse
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.encoded import Encoders
from signgen.dataset.planning import Plan
from signgen.dataset.prepare import Work, prepare
from signgen.dataset.region_store import FITTED, MARGIN, TRUE_SOLID, TRUTH, ClipCrops, cut_crops, read_crops
from signgen.dataset.training_data import cache_folder
from signgen.errors import InputError, Unsupported
from signgen.model import SignGenPipeline
from signgen.model.networks.refiner import RegionRefiner
from signgen.pose_image.solid import SolidHands
from signgen.rendering.run import render
from signgen.rendering.source import Source
from signgen.training.assembly import assemble
from signgen.training.config import TrainConfig
from signgen.training.refiner import RefinerTask
from signgen.training.run import run_stage

SIZE = (80, 88)
TINY = {"side": 32, "widths": [8, 8, 8], "blocks": [1, 1, 1], "head": 4}
CALM = {"share": 0.0}
CLIPS = {"train": {"a-1": 4, "b-2": 3}}


def keypoints(frames: int) -> np.ndarray:
    """(T, 133, 3) of somebody whose hands and face are large enough to be cut out."""
    clip = signing(frames, SIZE)
    points = clip.points
    points[:, 91:112, :2] += np.linspace(0, 8, 21)[:, None]
    points[:, 112:, :2] -= np.linspace(0, 8, 21)[:, None]
    return points


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of one signer; of the first the true solid hands are known."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def clips():
        for number in range(2):
            frames = np.stack([picture(SIZE)] * 4) + rng.integers(0, 40, (4, SIZE[1], SIZE[0], 3)).astype(np.uint8)
            yield f"clip{number}", "s01", frames, keypoints(4)

    build_cache(clips(), cache_folder(folder))
    (folder / "solid").mkdir()
    solid = np.full((4, SIZE[1], SIZE[0], 6), 200, np.uint8)
    np.savez_compressed(folder / "solid" / "clip0.npz", solid=solid)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "coarse"
    make_pipeline(SIZE).save_pretrained(folder)
    return folder


def _config(data: Path, output: Path, coarse: Path, stage: str = "hand_refiner", **changes: object) -> TrainConfig:
    content = {
        "stage": stage, "data": str(data), "output": str(output), "steps": 3, "batch": 4, "threads": 1,
        "precision": "no", "sheet_steps": 3, "log_steps": 1, "tensorboard": False, "optim": {"warmup": 1},
        "start": {"model": str(coarse)}, "model": TINY, "disturbance": CALM, **changes,
    }  # fmt: skip
    return configuration.build(TrainConfig, content)


@pytest.fixture(scope="module")
def run(data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the hand refiner."""
    folder = tmp_path_factory.mktemp("run")
    assert run_stage(_config(data, folder, model))["finished"]
    return folder


def test_a_refiner_trains_on_what_the_model_paints(run: Path, data: Path) -> None:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert all(np.isfinite(line["loss"]) and line["painted_structure"] > 0 for line in lines)
    assert (run / "sheets/step-000003.png").is_file()
    assert RegionRefiner.from_pretrained(run / "model/hand_refiner").config.side == 32
    (coarse,), cache = cache_folder(data).glob("coarse-*"), FrameCache.open(cache_folder(data))
    painted = read_coarse(coarse, 0)
    assert painted.frames.shape == (4, SIZE[1], SIZE[0], 3)
    assert painted.source in range(4)
    (folder,) = cache_folder(data).glob("hands-32-*")
    crops = [read_crops(folder, number) for number in (0, 1)]
    assert [clip.solid for clip in crops] == [True, False]
    assert (crops[0].pixels[..., TRUE_SOLID] == 200).all()
    assert (crops[1].pixels[..., TRUE_SOLID] == crops[1].pixels[..., FITTED]).all()
    # The points lie in the crop where they lie in the frame: what the truth shows there is what the frame shows.
    point = np.rint(crops[0].points[0, 0, :2]).astype(int)
    there = np.rint(cache.keypoints[0, 91, :2]).astype(int)
    assert (crops[0].pixels[0, point[1], point[0], TRUTH] == cache.frames[0, there[1], there[0]]).all()


@pytest.mark.parametrize("decoded", [True, False])
def test_a_refiner_trains_on_a_prepared_data_set(
    tmp_path: Path, decoded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its model composes, so that all that opens frames by their folder, as other processes must, does so here."""
    for module in ("painted", "refiner"):
        monkeypatch.setattr(f"signgen.training.{module}.processes", lambda device: 1)  # quicker for so few clips
    make_release(tmp_path / "data", CLIPS, SIZE)
    write_npz(tmp_path / "data/keypoints", {name: keypoints(count) for name, count in CLIPS["train"].items()}, SIZE)
    plan = Plan(triplets=4, shard_frames=7)
    work = Work(str(tmp_path / "data"), tmp_path / "out", lambda: Encoders(torch.device("cpu")), plan)
    work = replace(work, splits=("train",), keep_frames=decoded)
    prepare(work, lambda needs, free: None, lambda total, name: nullcontext(lambda n: None))
    make_pipeline(SIZE, composed=True).save_pretrained(tmp_path / "model")
    assert run_stage(_config(tmp_path / "out", tmp_path / "run", tmp_path / "model", steps=1))["finished"]
    folder = tmp_path / "out/train"
    painted, composed = sorted(folder.glob("coarse-*"))
    (crops,) = folder.glob("hands-32-*")
    assert all(len(list(place.glob("*.npz"))) == len(CLIPS["train"]) for place in (painted, composed, crops))


def test_clips_are_kept_for_the_sheet_alone(data: Path, model: Path, tmp_path: Path) -> None:
    rng, folder = np.random.default_rng(0), cache_folder(tmp_path / "four")
    stills = [np.stack([picture(SIZE)] * 4) + rng.integers(0, 40, (4, SIZE[1], SIZE[0], 3)).astype(np.uint8)
              for _ in range(4)]  # fmt: skip
    build_cache(((f"clip{n}", "s01", stills[n], keypoints(4)) for n in range(4)), folder)
    counts = []
    for sheet in (3, 0):
        config = _config(tmp_path / "four", tmp_path / "run", model, sheet_steps=sheet)
        task = RefinerTask(config, FrameCache.open(folder), torch.device("cpu"), folder)
        counts.append((len(task.clips), len(task.kept_out)))
    assert counts == [(3, 1), (4, 0)]


def test_crops_show_fast_hands_smeared_by_the_clips_own_shutter(
    run: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``run`` painted the clips already; a smeared picture is one that is lighter by the shutter in percent."""
    monkeypatch.setattr(SolidHands, "smeared", lambda _, pictures, shutter: pictures + np.uint8(100 * shutter))
    folder = cache_folder(data)
    (coarse,), cache = folder.glob("coarse-*"), FrameCache.open(folder)
    (data / "keypoints").mkdir()

    def solids(shutter: float, own: float | None, number: int = 1) -> tuple[int, int]:
        """The bytes of the fitted and of the true hands, where there are none or all are the same."""
        own_file = data / "keypoints" / f"clip{number}.npz"
        np.savez(own_file, keypoints=np.zeros(1), **({} if own is None else {"shutter": own}))
        where = cut_crops(cache, folder, coarse, "hand", 32, 0, shutter=shutter)
        pixels = np.array(read_crops(where, number).pixels)
        if shutter:
            shutil.rmtree(where)
        own_file.unlink()
        return int(pixels[..., FITTED].min()), int(pixels[..., TRUE_SOLID].min())

    assert solids(0.0, 0.5) == (128, 128)
    assert solids(0.5, None) == (178, 178)
    assert solids(0.5, 0.2) == (148, 148)
    assert solids(0.5, 0.0) == (128, 128)
    # True hands that were drawn crisp are no truth of a smeared clip; those that say their shutter are.
    file = data / "solid" / "clip0.npz"
    crisp = file.read_bytes()
    assert solids(0.0, None, 0) == (128, 200)
    assert solids(0.5, None, 0) == (178, 178)
    with np.load(file) as archive:
        solid = archive["solid"]
    np.savez_compressed(file, solid=solid, shutter=0.5)
    assert solids(0.5, None, 0) == (178, 200)
    file.write_bytes(crisp)


def test_a_clip_of_one_frame_that_shows_no_hand_has_no_crops(run: Path, data: Path, tmp_path: Path) -> None:
    (coarse,) = cache_folder(data).glob("coarse-*")
    points = keypoints(1)
    points[:, 91:, 2] = 0
    build_cache([("clip", "s01", picture(SIZE)[None], points)], tmp_path / "cache")
    (tmp_path / coarse.name).mkdir()
    with open(tmp_path / coarse.name / "000000.npz", "wb") as file:
        np.savez(file, frames=picture(SIZE)[None], driving=points, source=0)
    folder = region_store.cut_crops(
        FrameCache.open(tmp_path / "cache"), tmp_path / "cache", tmp_path / coarse.name, "hand", 32, 0
    )
    crops = read_crops(folder, 0)
    assert len(crops.pixels) == len(crops.speed) == len(crops.points) == 0


def test_what_was_rendered_and_cut_is_not_made_again(run: Path, data: Path, model: Path, tmp_path: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in cache_folder(data).rglob("*.np?")}
    run_stage(_config(data, tmp_path, model, seed=0, steps=1))
    assert {path: path.stat().st_mtime_ns for path in cache_folder(data).rglob("*.np?")} == files


def test_another_disturbance_needs_another_folder(run: Path, data: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        run_stage(_config(data, tmp_path, model, disturbance={"share": 1.0}))
    assert "coarse-" in error.value.subject


def test_other_clips_or_settings_of_the_model_need_another_folder(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = build_cache(((name, "s01", np.stack([picture(SIZE)] * 2), keypoints(2)) for name in "ab"), folder)
    coarse = render_coarse(cache, folder, model, 0, Disturbance(share=0.0))
    with pytest.raises(InputError, match="was made with other clips"):
        render_coarse(replace(cache, clips=cache.clips[::-1]), folder, model, 0, Disturbance(share=0.0))
    other = tmp_path / "other"
    shutil.copytree(model, other)
    settings = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(json.dumps({**settings, "steps": settings["steps"] + 1}))
    with pytest.raises(InputError, match="was made with other sampling"):
        render_coarse(cache, folder, other, 0, Disturbance(share=0.0))
    record = coarse / "coarse.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({name: content[name] for name in ("seed", "disturbance")}))  # as older ones are
    assert render_coarse(cache, folder, other, 0, Disturbance(share=0.0)) == coarse


def test_a_crop_moves_and_mirrors_with_its_points_and_its_solid_hands(data: Path, model: Path, tmp_path: Path) -> None:
    side, wide = TINY["side"], TINY["side"] + MARGIN
    task = RefinerTask.__new__(RefinerTask)
    task.side = side
    pixels = np.zeros((1, wide, wide, region_store.CHANNELS), np.uint8)
    pixels[0, :, :, TRUTH.start], pixels[0, :, :, TRUTH.start + 1] = np.meshgrid(np.arange(wide), np.arange(wide))
    pixels[..., FITTED.start], pixels[..., TRUE_SOLID.start] = 100, 150
    pixels[..., region_store.MIRRORED_POSE] = 7
    points = np.array([[[14.0, 17.0, 1.0], [20.0, 12.0, 1.0]]], np.float32)
    clip, rng, kinds = ClipCrops(pixels, points, np.ones(1), True), np.random.default_rng(0), set()
    for _ in range(60):
        crop, moved = task._item(clip, 0, rng)
        for (x, y, _), (column, row, _) in zip(points[0], moved, strict=True):
            assert crop[int(row), int(column), TRUTH][:2].tolist() == [x, y]
        mirrored = bool((crop[..., region_store.POSE] == 7).all())
        kinds.add((mirrored, int(crop[0, 0, FITTED.start])))
    assert kinds == {(False, 100), (False, 150), (True, 156), (True, 106)}  # about 128, for "to the right" is "left"


def test_a_strange_face_is_textured_alike_in_source_and_truth_and_unlike_what_was_painted() -> None:
    """The left half is known; the lips lie in it. Source and truth show the same, and go on doing so."""
    side, count = 32, 60
    task = RefinerTask.__new__(RefinerTask)
    task.side, task.kind, task.config = side, "face", _config(Path("data"), Path("out"), Path("model"), batch=count)
    pixels = np.zeros((1, side + MARGIN, side + MARGIN, region_store.CHANNELS), np.uint8)
    pixels[..., region_store.COARSE], pixels[..., TRUTH], pixels[..., region_store.REFERENCE] = 100, 150, 150
    pixels[:, ::2, ::2, region_store.COARSE] = 140  # detail, which a part of them loses
    pixels[:, :, : side // 2 + MARGIN, region_store.KNOWN] = 255
    points = np.tile(np.array([[[10.0, 28.0, 1.0]]], np.float32), (1, 68, 1))
    task.clips, task.sizes = [ClipCrops(pixels, points, np.ones(1), False)], np.ones(1)
    task.shares = [np.ones(1)]
    drawn = task.draw(np.random.default_rng(0))
    known = drawn.inputs[:, region_store.KNOWN] > 0
    source, painted = drawn.inputs[:, region_store.REFERENCE], drawn.inputs[:, region_store.COARSE]
    assert torch.allclose((source - drawn.truth) * known, torch.zeros(1), atol=1e-5)
    unknown = ~known & (known.any(3, keepdim=True).any(2, keepdim=True))
    textured, lips, cheeks, dulled, coloured = [], [], [], [], []
    for crop, where, beyond, points_, of_painted in zip(
        drawn.truth, known, unknown, drawn.points, painted, strict=True
    ):
        if not where.any():
            continue
        flat, (column, row) = crop[:, beyond[0]], points_[0, :2].astype(int)
        assert float(flat.std(1).max()) < 1e-5, "where nothing is known nothing is strange"
        usual = of_painted[:, beyond[0]]
        coloured.append(float((of_painted[:, where[0]].mean(1) - usual.mean(1)).abs().max()) > 0.03)
        cheek = of_painted[:, row - 14 : row - 8, column - 2 : column + 3].flatten(1)
        dulled.append(float((cheek.std(1) / usual.std(1)).mean()) < 0.8)
        textured.append(float(crop[:, where[0]].std(1).max()) > 0.02)
        change = (crop - flat.mean(1)[:, None, None]).abs().amax(0)
        lips.append(float(change[row, column]))
        cheeks.append(float(change[row - 14 : row - 10, column - 2 : column + 3].mean()))
    assert np.mean(lips) < 0.2 * np.mean(cheeks), "lips stay what they are"
    assert 0.3 < np.mean(textured) < 0.7
    assert 0.25 < np.mean(coloured) < 0.7
    assert 0.2 < np.mean(dulled) < 0.6


def test_the_refiner_becomes_part_of_the_model_and_paints(run: Path, model: Path, tmp_path: Path) -> None:
    result = assemble(tmp_path / "model", [model, run], dtype="float32")
    assert "hand_refiner" in result["parts"]
    assert "face_refiner" not in result["parts"]
    pipeline = SignGenPipeline.from_pretrained(tmp_path / "model", device="cpu")
    before = SignGenPipeline.from_pretrained(model, device="cpu")
    assert pipeline.config.window == before.config.window
    with torch.no_grad():
        pipeline.hand_refiner.out.bias.add_(torch.tensor([0.5, 0.0, 0.0, 0.0]))
    clip, own = signing(6, SIZE), keypoints(6)
    clip = replace(clip, xy=own[..., :2])
    source = Source(picture(SIZE), clip[:1], "somebody", "image")
    frames = {}
    for name, one in (("new", pipeline), ("old", before)):
        render(clip, source, one, tmp_path / name)
        frames[name] = [path.read_bytes() for path in sorted((tmp_path / name).glob("*.png"))]
    assert len(frames["new"]) == 6
    assert all(new != old for new, old in zip(frames["new"], frames["old"], strict=True))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"model": {**TINY, "side": 96}}, Unsupported),
        ({"start": {}}, InputError),
        ({"start": {"model": "no"}}, InputError),
    ],
)
def test_what_cannot_be_trained_is_told(
    data: Path, model: Path, tmp_path: Path, changes: dict, kind: type[InputError]
) -> None:
    with pytest.raises(kind):
        run_stage(_config(data, tmp_path, model, **changes))


def test_a_refiner_that_learns_on_says_how_it_is_shown_fast_hands(
    run: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    start = {"model": str(model), "hand_refiner": str(run / "model" / "hand_refiner")}
    assert RegionRefiner.from_pretrained(start["hand_refiner"]).config.shutter == 0
    assert run_stage(_config(data, tmp_path / "on", model, start=start, model={"shutter": 0.5}))["finished"]
    assert RegionRefiner.from_pretrained(tmp_path / "on/model/hand_refiner").config.shutter == 0.5
    with pytest.raises(InputError, match="shutter"):
        RegionRefiner(**TINY, shutter=1.5)
    assemble(tmp_path / "model", [model, tmp_path / "on"], dtype="float32")
    pipeline = SignGenPipeline.from_pretrained(tmp_path / "model", device="cpu")
    assert pipeline.shutter == 0.5
    clip = signing(3, SIZE)
    source = Source(picture(SIZE), clip[:1], "somebody", "image")
    own = render(clip, source, pipeline, tmp_path / "own")
    assert (own.shutter, render(clip, source, pipeline, tmp_path / "crisp", shutter=0.0).shutter) == (0.5, 0.0)
    assert not own.warnings
