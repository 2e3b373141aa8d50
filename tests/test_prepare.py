"""`signgen prepare`: what is written is what was read, a stopped run goes on, and failures end in one line."""

from __future__ import annotations

import json
import os
import resource
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from release_maker import CLIPS, SIZE, all_points, frame_folder, make_release, picture, write_mska, write_npz

from signgen.cli import main
from signgen.dataset.encoded import Encoders, latent_store, latents_name, sources_of, token_store, tokens_name
from signgen.dataset.pairs import draw_windows
from signgen.dataset.planning import Plan
from signgen.dataset.prepare import Work, prepare
from signgen.dataset.prepared import Index, open_prepared, shard_borders
from signgen.dataset.protocol import Protocol, first_to_every, within_clip
from signgen.dataset.training_data import cache_folder, open_data
from signgen.errors import Damaged, InputError, RunError

LENGTHS = {f"clip{i}": 5 + 7 * i for i in range(12)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_release(tmp_path / "data")
    write_npz(root / "keypoints", {name: xyc for split in CLIPS for name, xyc in all_points(split).items()})
    return root


def work(root: Path, out: Path, **changes: object) -> Work:
    plan = Plan(triplets=20, shard_frames=7)
    return replace(Work(str(root), out, lambda: Encoders(torch.device("cpu")), plan), **changes)


def run(work: Work) -> dict:
    return prepare(work, lambda needs, free: None, lambda total, name: nullcontext(lambda n: None))


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["prepare", *map(str, arguments), "--jobs", "1"])


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    root, out = make_release(tmp_path / "data"), tmp_path / "out"
    pickles = [write_mska(tmp_path / f"x.{split}", split, all_points(split)) for split in CLIPS]
    places = [part for path in pickles for part in ("--keypoints", path)]
    done = command(root, out, *places, "--triplets", 30, "--json")
    assert done.exit_code == 0, done.output
    assert "to be written: 0.3 MB; free:" in done.stderr
    report = json.loads(done.stdout)
    assert report["splits"]["test"]["pairs"] == report["splits"]["test"]["frames"] == 9
    assert report["splits"]["test"]["self_pairs"] == 2
    for split, clips in CLIPS.items():
        cache = open_prepared(out, split)
        assert [(clip.name, clip.stop - clip.start) for clip in cache.clips] == list(clips.items())
        assert cache.size == SIZE
        assert np.array_equal(cache.keypoints, np.concatenate(list(all_points(split).values())))
        frames = [picture(name, n) for name, count in clips.items() for n in range(1, count + 1)]
        assert np.array_equal(cache.frames[np.arange(len(frames))], frames)
        assert np.array_equal(cache.frames[np.array([[3, 0], [1, 1]]) % len(frames)].shape, (2, 2, *SIZE[::-1], 3))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.np?")}
    assert command(root, out, *places, "--triplets", 30).exit_code == 0
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.np?")}
    other = command(root, out, *places, "--triplets", 30, "--seed", 1)
    assert other.exit_code == 2
    assert "holds 30 pairs of seed 0" in other.stderr
    assert "was prepared from other keypoints" in command(root, out, *places[:2]).stderr


def test_png_files_serve_where_no_frames_are_kept(root: Path, tmp_path: Path) -> None:
    run(work(root, tmp_path / "out", keep_frames=False))
    cache = open_data(tmp_path / "out", cache_folder(tmp_path / "out"))
    assert np.array_equal(cache.frames[np.array([5, 6])], [picture("a-1", 6), picture("b-2", 1)])
    with pytest.raises(IndexError):
        cache.frames[np.array([len(cache.frames)])]
    shutil.rmtree(root)
    with pytest.raises(InputError, match="not there any more"):
        open_prepared(tmp_path / "out")


def test_shares_make_what_one_process_makes(root: Path, tmp_path: Path) -> None:
    run(work(root, tmp_path / "whole"))
    report = run(work(root, tmp_path / "parts", share=(2, 2)))
    assert report["splits"]["train"]["shards_left"] == {"frames": 2}
    with pytest.raises(InputError, match="lacks 2 of 3 shards"):
        open_prepared(tmp_path / "parts")
    report = run(work(root, tmp_path / "parts", share=(1, 2), jobs=2))
    assert report["splits"]["train"]["shards_left"] == {"frames": 0}
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_damaged_frame_ends_in_one_line_and_the_rest_goes_on_later(root: Path, tmp_path: Path) -> None:
    frame = frame_folder(root, "train", "c-3") / "images0005.png"
    whole = frame.read_bytes()
    place = whole.index(b"IDAT") + 8
    frame.write_bytes(whole[:place] + bytes(12) + whole[place + 12 :])
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"images0005.png: is a damaged image"):
        run(work(root, out))
    there = sorted(path.name for path in (out / "train/frames").iterdir())
    assert there == ["00000.npy", "00001.npy"]
    before = [(out / "train/frames" / name).stat().st_mtime_ns for name in there]
    frame.write_bytes(whole)
    run(work(root, out))
    assert [(out / "train/frames" / name).stat().st_mtime_ns for name in there] == before
    assert len(open_prepared(out).frames) == 19
    frame.write_bytes(whole[:-5])
    line = command(root, tmp_path / "other")
    assert (line.exit_code, line.stderr.count("\nerror: ")) == (2, 1)
    assert "c-3: 1 clips of train cannot be used; the first: images0005.png is damaged or cut off" in line.stderr


def test_clips_without_keypoints_are_an_error_or_are_left_out_by_name(root: Path, tmp_path: Path) -> None:
    (root / "keypoints" / "b-2.npz").unlink()
    failed = command(root, tmp_path / "out", "--split", "train")
    assert failed.exit_code == 2
    assert "b-2: 1 clips of train cannot be used; the first: has no keypoints; see signgen inspect" in failed.stderr
    assert not list((tmp_path / "out").rglob("*.np?"))
    done = command(root, tmp_path / "out", "--skip-unusable", "--skip", "a-1", "--no-frames", "--triplets", 0)
    assert done.exit_code == 0, done.output
    assert "train b-2: left out: has no keypoints" in done.stdout
    index = Index.load(tmp_path / "out/train/index.json")
    assert index.left_out == (("a-1", "was to be skipped"), ("b-2", "has no keypoints"))
    assert list(index.lengths) == ["c-3"]
    assert open_prepared(tmp_path / "out").triplets is None
    assert command(root, tmp_path / "out", "--skip", "none").exit_code == 2


def test_without_any_keypoints_it_asks_where_they_are(tmp_path: Path) -> None:
    done = command(make_release(tmp_path / "data"), tmp_path / "out")
    assert done.exit_code == 2
    assert "has no folder keypoints beside the release; say where they are: --keypoints" in done.stderr


def test_fewer_pairs_than_were_asked_for_are_told(root: Path, tmp_path: Path) -> None:
    done = command(root, tmp_path / "out", "--split", "train", "--sources", 1)
    assert "16 pairs (all that there are; 100,000 were asked for)" in done.stdout
    assert "asked for" not in command(root, tmp_path / "few", "--split", "train", "--triplets", 16).stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--device", "tpu"), "error: --device: got 'tpu'; give auto, cpu, cuda"),
        (("--vae", "nowhere"), "error: --vae: nowhere"),
        (("--image-encoder", "nowhere"), "error: --image-encoder: nowhere"),
    ],
)
def test_wrong_options_are_named(root: Path, tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    done = command(root, tmp_path / "out", *options)
    assert done.exit_code == 2
    assert words in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("prepared.json", "cut"), ("train/protocol.npz", "cut"),
        ("train/index.json", "cut"), ("train/index.json", "gone"),
        ("train/keypoints.npy", "cut"), ("train/keypoints.npy", "gone"),
        ("train/frames/00001.npy", "cut"), ("train/frames/00001.npy", "gone"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named_and_made_anew(root: Path, tmp_path: Path, name: str, way: str) -> None:
    """A disk or a copy to another machine may cut files off, though they were written whole."""
    out = tmp_path / "out"
    run(work(root, out, splits=("train",)))
    before = contents(out)
    path = out / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if way == "gone":
        path.unlink()
    with pytest.raises(InputError, match=rf"{path.name}: is damaged|{path.name}: is not there|lacks 1 of|no split"):
        open_prepared(out).frames[np.arange(19)]
    run(work(root, out, splits=("train",)))
    assert contents(out) == before


def test_damaged_caches_of_training_are_named(root: Path, tmp_path: Path) -> None:
    folder = cache_folder(root, tmp_path / "cache")
    open_data(root, folder)
    for name in ("cache.json", "keypoints.npy", "frames.u8"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(Damaged) as caught:
            open_data(root, folder)
        assert caught.value.subject == str(folder / name)
        (folder / name).write_bytes(whole)
    path = root / "keypoints" / "a-1.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Damaged) as caught:
        open_data(root, cache_folder(root, tmp_path / "other"))
    assert caught.value.subject == str(path)


def test_infinite_coordinates_are_mended_and_said(root: Path, tmp_path: Path) -> None:
    points = all_points("dev")["d-4"]
    points[1, 100, 0], points[2, 50, 2] = np.inf, 1.5
    write_npz(root / "keypoints", {"d-4": points})
    report = run(work(root, tmp_path / "out", splits=("dev",)))
    assert [words.split(":")[0] for _, words in report["splits"]["dev"]["mended"]] == [
        "1 points with infinite coordinates", "1 scores above 1 (up to 1.5)",
    ]  # fmt: skip
    stored = open_prepared(tmp_path / "out", "dev").keypoints
    assert np.isfinite(stored).all()
    assert not stored[1, 100].any()
    assert stored[2, 50, 2] == 1


@pytest.fixture
def small_disk() -> object:
    """Files cannot grow beyond 40 kB, which fails in the same calls as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_in_one_line_and_loses_nothing(root: Path, tmp_path: Path, small_disk) -> None:
    out = tmp_path / "out"
    run(work(root, out, keep_frames=False))
    before = contents(out)
    small_disk()
    with pytest.raises(RunError, match=r"00000.npy: cannot be written .*; see to space and permissions"):
        run(work(root, out))
    assert contents(out) == before


def test_too_small_a_disk_is_refused_before_anything_is_written(root: Path, tmp_path: Path, monkeypatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    failed = command(root, tmp_path / "out")
    assert failed.exit_code == 2
    assert "needs about 0.3 MB, 1.0 kB are free" in failed.stderr
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    dry = command(root, tmp_path / "out", "--dry-run")
    assert (dry.exit_code, (tmp_path / "out").exists()) == (0, False)


def test_leftovers_of_a_killed_process_are_removed(root: Path, tmp_path: Path) -> None:
    import socket

    run(work(root, tmp_path / "out", keep_frames=False))
    gone = tmp_path / "out/train" / f".signgen-{socket.gethostname()}-999999999-a"
    living = gone.with_name(f".signgen-{socket.gethostname()}-{os.getpid()}-b")
    gone.mkdir()
    living.mkdir()
    run(work(root, tmp_path / "out", keep_frames=False))
    assert (gone.exists(), living.exists()) == (False, True)


def test_a_folder_of_something_else_is_left_alone(root: Path) -> None:
    failed = command(root, root / "keypoints")
    assert failed.exit_code == 2
    assert "is not empty, and signgen prepare did not write it" in failed.stderr


# --- protocols ------------------------------------------------------------------------------------------------
def test_keypoints_that_are_written_anew_are_not_mixed_with_the_old_ones(root: Path, tmp_path: Path) -> None:
    """Their file has the same name: only a look into it tells."""
    out, file = tmp_path / "out", root / "keypoints" / "b-2.npz"
    assert command(root, out).exit_code == 0
    planned = max(path.stat().st_mtime for path in out.rglob("*.json"))
    os.utime(file, (planned + 9, planned + 9))
    assert command(root, out).exit_code == 0, "the same ones, copied"
    write_npz(root / "keypoints", {"b-2": all_points("train")["b-2"] + np.float32(1)})
    os.utime(file, (planned + 9, planned + 9))
    again = command(root, out)
    assert again.exit_code == 2
    assert "was prepared from other keypoints of b-2 than there are now; delete it" in again.stderr


def test_first_to_every_marks_each_clips_own_frame(tmp_path: Path) -> None:
    pairs = first_to_every(LENGTHS)
    assert len(pairs) == sum(LENGTHS.values())
    assert pairs.own.sum() == len(LENGTHS)
    pairs.save(tmp_path / "p.npz")
    again = Protocol.load(tmp_path / "p.npz")
    assert again.clips == tuple(LENGTHS)
    assert np.array_equal(again.own, again.target == 1)


@pytest.mark.parametrize(("count", "sources"), [(300, 0), (300, 3), (10**6, 0), (10**6, 2)])
def test_triplets_are_different_pairs_of_one_clip(count: int, sources: int) -> None:
    pairs = within_clip(LENGTHS, count, 3, sources)
    lengths = np.array(list(LENGTHS.values()))
    possible = (np.minimum(sources or 10**6, lengths) * (lengths - 1)).sum()
    assert len(pairs) == min(count, possible)
    assert not pairs.own.any()
    rows = np.stack((pairs.clip, pairs.source, pairs.target), -1)
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert min(pairs.source.min(), pairs.target.min()) == 1
    assert (np.maximum(pairs.source, pairs.target) <= lengths[pairs.clip]).all()
    if sources:
        assert max(len(np.unique(pairs.source[pairs.clip == i])) for i in range(len(lengths))) == sources
    assert np.array_equal(rows, np.stack((*(getattr(within_clip(LENGTHS, count, 3, sources), n)
                                            for n in ("clip", "source", "target")),), -1))  # fmt: skip
    assert not np.array_equal(pairs.target, within_clip(LENGTHS, count, 4, sources).target)


def test_every_frame_is_a_target_as_often(tmp_path: Path) -> None:
    pairs = within_clip({"a": 100, "b": 300}, 8000, 0)
    assert (pairs.clip == 1).mean() == pytest.approx(0.75, abs=0.02)
    starts = {"a": 0, "b": 100}
    rows = pairs.frame_pairs(starts)
    assert ((rows[:, 0] < 100) == (rows[:, 1] < 100)).all()
    with pytest.raises(InputError, match="names the clip b"):
        pairs.frame_pairs({"a": 0})


def test_windows_begin_at_the_triplets_targets(root: Path, tmp_path: Path) -> None:
    run(work(root, tmp_path / "out", keep_frames=False))
    cache = open_prepared(tmp_path / "out")
    known = {tuple(pair) for pair in cache.triplets.tolist()}
    one = draw_windows(cache, 40, 1, np.random.default_rng(0))
    assert {*zip(one.source.tolist(), one.target[:, 0].tolist(), strict=True)} <= known
    several = draw_windows(cache, 40, 5, np.random.default_rng(0))
    for clip, source, target in zip(several.clip, several.source, several.target, strict=True):
        inside = range(cache.clips[clip].start, cache.clips[clip].stop)
        assert {source, *target} <= set(inside)
        assert any((source, frame) in known for frame in target)
    with pytest.raises(InputError, match="lower views"):
        draw_windows(cache, 4, 30, np.random.default_rng(0))


def test_shards_hold_whole_clips() -> None:
    assert shard_borders([3, 4, 9, 2, 2], 7) == (0, 7, 16, 20)
    assert shard_borders([], 7) == (0,)


# --- encoders -------------------------------------------------------------------------------------------------
class Vision(torch.nn.Module):
    """An image encoder with four tokens: the means of a picture's quarters."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, pixels: torch.Tensor) -> object:
        tokens = torch.nn.functional.adaptive_avg_pool2d(pixels * self.weight, 2).flatten(2).transpose(1, 2)
        return type("Out", (), {"last_hidden_state": tokens})


def test_latents_and_tokens_are_those_of_training(root: Path, tmp_path: Path) -> None:
    from signgen.model.networks.autoencoder import FrameAutoencoder

    torch.manual_seed(0)
    vae = FrameAutoencoder(widths=[8, 8], encoder_blocks=[1, 1], decoder_blocks=[1, 1]).eval()
    encoders = Encoders(torch.device("cpu"), vae, Vision(), 28, (64, 80))
    report = run(work(root, tmp_path / "out", encoders=lambda: encoders, splits=("train",)))
    cache, folder = open_prepared(tmp_path / "out"), tmp_path / "out/train"
    sizes = {path.name.split("-")[0]: sum(f.stat().st_size for f in path.glob("0*")) for path in folder.glob("*-*")}
    headers = 128 * 3  # of three shards
    assert sizes["latents"] == report["bytes"]["train"]["latents"] + headers
    assert (
        sizes["tokens"] <= report["bytes"]["train"]["tokens"] + headers
    )  # how many sources differ is not known before

    def images(indices: np.ndarray) -> torch.Tensor:
        return encoders.on_canvas(cache.frames[indices])

    stored = latent_store(cache, images, vae, folder, (64, 80))
    assert stored.shape == (19, 16, 10, 8)
    fresh = latent_store(cache, images, vae, tmp_path, (64, 80))
    assert np.abs(stored[np.arange(19)] - fresh[np.arange(19)]).max() < 0.02  # other batches, bfloat16
    store = token_store(cache, folder / tokens_name(encoders.image_encoder, 28, (64, 80), SIZE))
    assert np.array_equal(store.frames, sources_of(cache))
    some = store.frames[[3, 0]]
    assert np.array_equal(store.take(some), encoders.tokens(cache.frames[some]))
    absent = next(frame for frame in range(20) if frame not in store.frames)
    assert store.take(np.array([some[0], absent])) is None
    assert token_store(cache, folder / "tokens-other") is None


def test_canvases_of_one_size_that_show_frames_otherwise_have_other_names() -> None:
    """210x260 is padded to 216x264, or scaled to a canvas of that very size."""
    vae = torch.nn.Linear(2, 2)
    padded, scaled, large = (latents_name(vae, canvas, (210, 260)) for canvas in (None, (216, 264), (416, 512)))
    assert scaled == f"{padded}-216x264"
    assert large == f"{padded}-416x512"
    assert latents_name(vae, (216, 264), (216, 264)) == latents_name(vae, None, (216, 264)), "the same pictures"
    keys = {tokens_name(vae, 28, canvas, (210, 260)) for canvas in (None, (216, 264), (416, 512))}
    assert len(keys) == 3


def test_a_stage_trains_from_a_prepared_folder(root: Path, tmp_path: Path) -> None:
    from signgen import config as configuration
    from signgen.training.config import TrainConfig
    from signgen.training.run import run_stage

    run(work(root, tmp_path / "out", keep_frames=False, splits=("train",)))
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 16, "projection_dim": 16}  # fmt: skip
    content = {
        "stage": "fusion", "data": str(tmp_path / "out"), "output": str(tmp_path / "run"), "steps": 2, "batch": 3,
        "threads": 1, "precision": "no", "sheet_steps": 0, "log_steps": 1, "model": {"vision": vision},
    }  # fmt: skip
    assert run_stage(configuration.build(TrainConfig, content))["finished"]
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    assert all(np.isfinite(line["loss"]) for line in lines)
    frame = frame_folder(root, "train", "c-3") / "images0005.png"  # no decoded frames: training reads it
    whole = frame.read_bytes()
    frame.write_bytes(whole[:-30])
    more = configuration.build(TrainConfig, {**content, "steps": 60, "save_minutes": 0.0})
    with pytest.raises(InputError, match=r"images0005.png: is a damaged image"):
        run_stage(more, resume=True)
    frame.write_bytes(whole)
    done = run_stage(more, resume=True)
    assert done["finished"]
    steps = [json.loads(line)["step"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 61)), "nothing is lost, nothing is done twice"
