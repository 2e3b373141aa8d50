"""The training loop on tiny networks: stages build on each other, a stopped run goes on as if never stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from release_maker import CLIPS, all_points, make_release, write_npz
from safetensors.torch import load_file, save_file
from skimage.metrics import structural_similarity

from signgen import config as configuration
from signgen.dataset.cache import FrameCache, build_cache
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.encoded import weights_key
from signgen.dataset.pairs import crop_centres, draw_windows, loss_weights
from signgen.dataset.training_data import cache_folder, open_data
from signgen.errors import BadValue, InputError
from signgen.keypoints.skeleton import LEFT_KNUCKLE, NOSE, RIGHT_KNUCKLE
from signgen.model.networks.autoencoder import FrameAutoencoder
from signgen.model.networks.canvas import fit_canvas, fit_frames, from_canvas
from signgen.training.config import OptimConfig, TrainConfig
from signgen.training.loop import learning_rate
from signgen.training.run import make_task, run_stage
from signgen.training.stages import STAGES
from signgen.training.task import structural_loss

GENERAL = {"windows", "rng", "unordered", "source_poses"}  # fields of every batch
SIZE = (130, 132)  # width, height: neither divides by 8
TINY_VAE = {"widths": [8, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1, 1]}
TINY_FUSION = {
    "vision": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
               "image_size": 32, "patch_size": 16, "projection_dim": 16},
}  # fmt: skip
TINY_DENOISER = {
    "channels": 16, "block_out_channels": [16, 16], "layers_per_block": 1, "attention": [False, True], "head_dim": 8,
    "norm_groups": 8, "cross_attention_dim": 16, "pose": {"block_out_channels": [8, 8], "unshuffle": 2},
    "source": {"semantic_dim": 16, "hidden": 16, "patch": 4, "positions": True, "dropout": 0.0}, "fusion_dim": 16,
    "fusion_hidden": 16, "image_level": True, "fill": "source",
    "cross_view": {"levels": [1], "mid": False, "heads": 2, "groups": 8, "attentions": 1, "ff_mult": 0},
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three clips whose frames are smooth noise."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def clips():
        for number in range(3):
            frames = rng.integers(0, 255, (6, SIZE[1], SIZE[0], 3)).astype(np.uint8)
            xy = rng.uniform(20, 110, (6, 133, 2))
            yield f"clip{number}", "s01", frames, np.concatenate((xy, np.ones((6, 133, 1))), -1)

    build_cache(clips(), cache_folder(folder))
    return folder


def _config(data: Path, output: Path, stage: str, **changes: object) -> TrainConfig:
    content = {
        "stage": stage, "data": str(data), "output": str(output), "steps": 4, "batch": 2, "threads": 1,
        "precision": "no", "sheet_steps": 4, "log_steps": 1, "optim": {"warmup": 1}, **changes,
    }  # fmt: skip
    return configuration.build(TrainConfig, content)


@pytest.fixture(scope="module")
def starts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Trained autoencoder and fusion model (4 steps each)."""
    folder = tmp_path_factory.mktemp("runs")
    run_stage(_config(data, folder / "ae", "autoencoder", model=TINY_VAE))
    run_stage(_config(data, folder / "fusion", "fusion", model=TINY_FUSION))
    return {"autoencoder": str(folder / "ae/model/vae"), "fusion": str(folder / "fusion/model/fusion")}


def test_stages_follow_each_other(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    first = _config(data, tmp_path / "den", "denoiser", start=starts, model=TINY_DENOISER)
    assert run_stage(first)["finished"]
    loss = {"pixel": 1.0, "crop": 64, "last_step_share": 0.5, "drop": 0.2, "null_share": 0.1}
    start = {**starts, "denoiser": str(tmp_path / "den/model/denoiser")}
    result = run_stage(_config(data, tmp_path / "vid", "video", start=start, views=3, loss=loss))
    assert result["finished"]
    lines = [json.loads(line) for line in (tmp_path / "vid/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(np.isfinite(line["loss"]) and "pixel" in line for line in lines)
    assert (tmp_path / "vid/sheets/step-000004.png").is_file()
    assert (tmp_path / "vid/model/denoiser/diffusion_pytorch_model.safetensors").is_file()


def test_a_stage_trains_with_the_loss_of_its_record_and_reads_the_batch_it_names(
    data: Path, starts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses that are tested are the ones that training calls, each with the numbers that it logs."""
    settings = {"denoiser": {"start": starts, "model": TINY_DENOISER}, "autoencoder": {"model": TINY_VAE},
                "fusion": {"model": TINY_FUSION}}  # fmt: skip
    calls = {"denoiser": "denoiser.denoising_loss", "fusion": "fusion.source_enhanced_loss",
             "autoencoder": "autoencoder.reconstruction_loss"}  # fmt: skip
    folder = cache_folder(data)
    for name, changes in settings.items():
        task = make_task(_config(data, tmp_path, name, **changes), FrameCache.open(folder), torch.device("cpu"), folder)
        drawn = task.draw(np.random.default_rng(1))
        fields = drawn._fields if name == "autoencoder" else [field.name for field in dataclasses.fields(drawn)]
        read = {field for field in fields if getattr(drawn, field) is not None} - GENERAL
        assert read == set(STAGES[name].batch) - {"tokens"}, "tokens are read where signgen prepare has made them"
        module, function = calls[name].split(".")
        place, given = import_module(f"signgen.training.{module}"), []
        real = getattr(place, function)
        watched = lambda *values, real=real, given=given, **named: given.append(real(*values, **named)) or given[-1]  # noqa: E731
        with monkeypatch.context() as patch:
            patch.setattr(place, function, watched)
            loss, _ = task.loss(task.trainable, drawn)
        (value,) = given
        assert torch.equal(loss, value[0] if name == "denoiser" else value)


def test_a_stage_that_is_one_more_record_trains(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = dataclasses.replace(STAGES["autoencoder"], name="pixels", loss="torch.nn.functional:l1_loss")
    monkeypatch.setitem(STAGES, "pixels", record)
    assert run_stage(_config(data, tmp_path / "run", "pixels", model=TINY_VAE))["stage"] == "pixels"
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert all(line["loss"] == line["l1"] for line in lines)


def _losses(folder: Path) -> dict[int, float]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines}


def test_a_stopped_run_goes_on_as_if_never_stopped(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    def make(name: str, **changes: object) -> TrainConfig:
        settings = {"start": starts, "model": TINY_DENOISER, "optim": {"decay": 0.0, "warmup": 1}, **changes}
        return _config(data, tmp_path / name, "denoiser", **settings)

    run_stage(make("whole"))
    run_stage(make("parts", steps=2))
    with pytest.raises(InputError, match="already holds a run"):
        run_stage(make("parts"))
    run_stage(make("parts"), resume=True)
    assert _losses(tmp_path / "whole") == pytest.approx(_losses(tmp_path / "parts"), rel=1e-5)
    checkpoints = sorted(p.name for p in (tmp_path / "parts/checkpoints").iterdir())
    assert checkpoints == ["step-00000002", "step-00000004"]


def test_what_a_caller_does_between_steps_is_no_time_of_the_training(data: Path, tmp_path: Path) -> None:
    config = _config(data, tmp_path / "run", "fusion", model=TINY_FUSION, minutes=1.0)
    done = run_stage(config, advance=lambda steps: time.sleep(0.5))
    assert done["finished"], "half a minute a step would have ended it"
    assert done["seconds"] < 0.5 * config.steps


def test_an_unfinished_checkpoint_is_not_resumed_from(data: Path, tmp_path: Path) -> None:
    config = _config(data, tmp_path / "ae", "autoencoder", model=TINY_VAE, steps=2)
    run_stage(config)
    broken = tmp_path / "ae/checkpoints/.signgen-elsewhere-7-x/step-00000009"
    broken.mkdir(parents=True)
    assert run_stage(config, resume=True)["steps"] == 2
    assert not broken.parent.exists()


def test_missing_parts_are_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"start.autoencoder: no trained autoencoder"):
        run_stage(_config(data, tmp_path / "x", "denoiser"))
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="no such data set"):
        run_stage(_config(tmp_path / "none", tmp_path / "x", "autoencoder"))
    with pytest.raises(InputError, match="stages are autoencoder"):
        _config(data, tmp_path, "nonsense")


@pytest.mark.parametrize("damage", ["other", "gone", "cut", "shape", "missing", "settings"])
def test_a_damaged_folder_of_an_earlier_stage_is_named(
    data: Path, starts: dict[str, str], tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "fusion"
    shutil.copytree(starts["autoencoder" if damage == "other" else "fusion"], folder)
    path = folder / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "shape":
        save_file({**weights, "combiner.output.weight": torch.zeros(1, 1)}, path)
    elif damage == "missing":
        save_file({name: value for name, value in weights.items() if name != "combiner.output.weight"}, path)
    elif damage == "settings":
        settings = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**settings, "dropout": "high"}))
    words = {
        "other": "start.fusion: .*fusion holds a FrameAutoencoder; give the folder of a FusionModel",
        "gone": "safetensors: no such file", "cut": "safetensors: cannot be read",
        "shape": r"safetensors: other shape combiner.output.weight \(1, 1\)",
        "missing": "safetensors: missing combiner.output.weight", "settings": "config.json: makes no FusionModel",
    }  # fmt: skip
    config = _config(data, tmp_path / "x", "denoiser", start={**starts, "fusion": str(folder)}, model=TINY_DENOISER)
    with pytest.raises(InputError, match=words[damage]):
        run_stage(config)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"dropuot": 0.1}, "model: unknown key 'dropuot'; did you mean dropout"),
        ({"dropout": 7}, "model: cannot be built .dropout probability"),
        ({"dropout": "high"}, "model: cannot be built"),
    ],
)
def test_a_network_that_cannot_be_is_refused(data: Path, tmp_path: Path, model: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        run_stage(_config(data, tmp_path / "x", "fusion", model={**TINY_FUSION, **model}))


def test_windows_depend_on_the_seed_alone_and_stay_in_their_clip(data: Path) -> None:
    cache = FrameCache.open(cache_folder(data))
    draws = [draw_windows(cache, 50, 3, np.random.default_rng(5), Disturbance()) for _ in range(2)]
    assert np.array_equal(draws[0].keypoints, draws[1].keypoints)
    for clip, target, source in zip(draws[0].clip, draws[0].target, draws[0].source, strict=True):
        inside = range(cache.clips[clip].start, cache.clips[clip].stop)
        assert {*target, source} <= set(inside)
        assert list(np.diff(target)) == [1, 1]


def test_loss_weights_peak_at_hands() -> None:
    truth = np.zeros((1, 133, 3), np.float32)
    truth[0, 91:112] = (60, 100, 1)
    weights = loss_weights(truth, 216, 264, 8)
    assert weights.shape == (1, 33, 27)
    assert weights[0, 12, 7] == weights.max() == pytest.approx(5)
    assert weights[0, 0, 26] == weights[0, 32, 0] == 1


def test_close_looks_fall_on_both_hands_and_the_face() -> None:
    truth = np.zeros((400, 133, 3), np.float32)
    truth[:, NOSE], truth[:, LEFT_KNUCKLE], truth[:, RIGHT_KNUCKLE] = (100, 60, 1), (150, 200, 1), (50, 200, 1)
    centres = crop_centres(truth, 2, np.random.default_rng(0)).reshape(2, 400, 2)
    left, right = ((centres == point).all(-1) for point in ((150, 200), (50, 200)))
    assert 0.5 < (left | right).mean() < 0.7
    assert not (left.all(0) | right.all(0)).any(), "an item's two crops never show the same hand"
    assert (np.abs(centres[~(left | right)] - (100, 60)) < 30).all(-1).mean() > 0.6
    truth[:, LEFT_KNUCKLE, 2] = 0
    alone = crop_centres(truth, 2, np.random.default_rng(0)).reshape(2, 400, 2)
    assert not (alone == (150, 200)).all(-1).any(), "a hand outside of the frame is not looked at"


def test_structural_loss_is_one_minus_scikit_images_ssim() -> None:
    true = torch.rand(2, 3, 40, 36, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pred = (true + 0.2 * torch.randn(true.shape, generator=torch.Generator().manual_seed(1))).clamp(-1, 1)
    values = []
    for x, y in zip(*(((t + 1) / 2).permute(0, 2, 3, 1).numpy()[:, 4:-4, 4:-4] for t in (true, pred)), strict=True):
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
        surface = structural_similarity(x, y, channel_axis=2, full=True, **settings)[1]
        values.append(surface[5:-5, 5:-5].mean())
    assert float(structural_loss(pred, true, margin=4)) == pytest.approx(1 - np.mean(values), abs=1e-5)
    assert float(structural_loss(true, true)) == pytest.approx(0, abs=1e-5)


def test_canvas_round_trip() -> None:
    frames = torch.rand(2, 3, 260, 210)
    canvas = fit_frames(frames)
    assert canvas.shape == (2, 3, 264, 216)
    assert fit_canvas(210, 260).padding == (3, 3, 2, 2)
    assert torch.equal(from_canvas(canvas, 210, 260), frames)
    assert torch.equal(canvas[..., 0, :], canvas[..., 2, :])


def _settled_vae(frames: torch.Tensor) -> FrameAutoencoder:
    """An autoencoder that has seen ``frames`` in training, so that its latent's statistics are known."""
    torch.manual_seed(0)
    vae = FrameAutoencoder(**TINY_VAE).train()
    with torch.no_grad():
        vae.encoder[0].weight *= 3
        for _ in range(300):
            vae(frames)
    return vae.eval()


def test_autoencoder_shapes_and_saving(tmp_path: Path) -> None:
    frames = torch.rand(2, 3, 32, 24) * 2 - 1
    vae = _settled_vae(frames)
    latent = vae.encode(frames).latent_dist.mode()
    assert latent.shape == (2, 16, 4, 3)
    assert vae.decode(latent).sample.shape == frames.shape
    vae.save_pretrained(tmp_path)
    again = FrameAutoencoder.from_pretrained(tmp_path).eval()
    assert torch.allclose(again.encode(frames).latent_dist.mode(), latent, atol=1e-5)


def test_the_latent_has_unit_variance_and_decoding_undoes_it() -> None:
    frames = torch.rand(16, 3, 32, 32) * 2 - 1
    vae = _settled_vae(frames)
    with torch.no_grad():
        latent = vae.encode(frames).latent_dist.mode()
        assert torch.allclose(vae.decode(latent).sample, vae(frames), atol=1e-4)
    per_channel = torch.nn.functional.pixel_shuffle(latent, 2).transpose(0, 1).flatten(1)
    assert per_channel.std(1).numpy() == pytest.approx(1, abs=0.05)
    assert per_channel.mean(1).numpy() == pytest.approx(0, abs=0.05)


def test_learning_rate_rises_stays_and_falls() -> None:
    optim = OptimConfig(lr=1.0, warmup=10, decay=0.5)
    rates = [learning_rate(optim, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[10:50]) == {1.0}
    assert rates[99] == pytest.approx(0.02)
    assert all(a >= b for a, b in zip(rates[50:], rates[51:], strict=False))


def test_a_cache_is_built_anew_when_the_clips_change(tmp_path: Path) -> None:
    from PIL import Image

    release = tmp_path / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
    corpus = release / "annotations/manual/PHOENIX-2014-T.train.corpus.csv"
    corpus.parent.mkdir(parents=True)
    (tmp_path / "keypoints").mkdir()
    rows = ["name|video|start|end|speaker|orth|translation"]
    for name in ("one", "two"):
        folder = release / "features/fullFrame-210x260px/train" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 48), (9, 9, 9)).save(folder / "images0001.png")
        np.savez(tmp_path / f"keypoints/{name}.npz", keypoints=np.ones((1, 133, 3), np.float32))
        rows.append(f"{name}|{name}/1/*.png|-1|-1|s01|A|a")
        corpus.write_text("\n".join(rows) + "\n", encoding="utf-8")
        assert [clip.name for clip in open_data(tmp_path, cache_folder(tmp_path)).clips] == [
            row.split("|")[0] for row in rows[1:]
        ]


def test_what_was_made_of_other_clips_goes_with_their_cache(tmp_path: Path) -> None:
    root = make_release(tmp_path / "data")
    write_npz(root / "keypoints", {name: xyc for split in CLIPS for name, xyc in all_points(split).items()})
    folder = cache_folder(root)
    open_data(root, folder)
    made = [folder / name for name in ("coarse-1a-0", "coarse-1a-0-2b", "hands-72-coarse-1a-0", "faces-64-coarse-1a-0")]
    for place in made:
        place.mkdir()
        (place / "000000.npz").write_bytes(b"x")
    open_data(root, folder)
    assert all(place.is_dir() for place in made)
    assert [clip.name for clip in open_data(root, folder, "dev").clips] == list(CLIPS["dev"])
    assert sorted(path.name for path in folder.iterdir()) == ["cache.json", "frames.u8", "keypoints.npy"]


def test_keypoints_that_were_written_anew_are_taken(tmp_path: Path) -> None:
    root = make_release(tmp_path / "data", {"train": CLIPS["train"]})
    points = all_points("train")
    write_npz(root / "keypoints", points)
    folder = cache_folder(root)
    before = open_data(root, folder)
    (folder / "coarse-1a-0").mkdir()
    old, name, row = (folder / "cache.json").stat().st_mtime, before.clips[-1].name, before.clips[-1].start
    path = root / "keypoints" / f"{name}.npz"
    os.utime(path, (old + 9, old + 9))  # copied, and the same
    open_data(root, folder)
    assert (folder / "coarse-1a-0").is_dir()
    write_npz(root / "keypoints", {name: points[name] + (1, 0, 0)})
    os.utime(path, (old - 9, old - 9))  # older than the cache: cannot have been written since
    assert np.array_equal(open_data(root, folder).keypoints[row], before.keypoints[row])
    os.utime(path, (old + 9, old + 9))
    after = open_data(root, folder)
    assert after.keypoints[row, 0, 0] == before.keypoints[row, 0, 0] + 1
    assert not (folder / "coarse-1a-0").exists()
    assert after.clips == before.clips


def test_a_cache_of_another_split_is_not_taken_for_it(tmp_path: Path) -> None:
    root = make_release(tmp_path / "data", {"train": CLIPS["train"]})
    write_npz(root / "keypoints", all_points("train"))
    folder = cache_folder(root)
    open_data(root, folder)
    with pytest.raises(InputError, match="has no split 'dev'; it has train"):
        open_data(root, folder, "dev")
    (tmp_path / "bare").mkdir()
    open_data(tmp_path / "bare", folder)
    with pytest.raises(InputError, match="is of the split 'train', not 'dev'"):
        open_data(tmp_path / "bare", folder, "dev")
    content = json.loads((folder / "cache.json").read_text())
    del content["split"]  # as older ones are
    (folder / "cache.json").write_text(json.dumps(content))
    assert len(open_data(tmp_path / "bare", folder, "dev").clips) == 3


def test_the_cache_may_lie_elsewhere(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "cache"
    shutil.copytree(cache_folder(data), elsewhere)
    bare = tmp_path / "bare"
    bare.mkdir()
    run_stage(_config(bare, tmp_path / "ae", "autoencoder", model=TINY_VAE, steps=1, cache=str(elsewhere)))
    assert (tmp_path / "ae/model/vae/config.json").is_file()
    assert not list(bare.iterdir())


def test_small_frames_and_windows_without_a_view_to_generate_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="known"):
        _config(tmp_path, tmp_path, "video", views=3, known=3)
    frames = (np.zeros((100, 90, 3), np.uint8) for _ in range(2))
    build_cache([("small", "s01", frames, np.zeros((2, 133, 3)))], cache_folder(tmp_path))
    with pytest.raises(InputError, match="90x100"):
        run_stage(_config(tmp_path, tmp_path / "out", "autoencoder", model=TINY_VAE))


def test_zoomed_items_train_and_a_new_decoder_keeps_the_latents(
    data: Path, starts: dict[str, str], tmp_path: Path
) -> None:
    config = _config(
        data, tmp_path / "zoom", "denoiser", start=starts, model=TINY_DENOISER,
        loss={"zooms": 3, "zoom": 64, "pixel": 1.0, "crop": 64, "last_step_share": 1.0},
    )  # fmt: skip
    assert run_stage(config)["finished"]
    line = json.loads((tmp_path / "zoom" / "log.jsonl").read_text().splitlines()[-1])
    assert line["zoom_pixel"] > 0
    assert line["zoom_latent"] > 0
    smaller = {**TINY_VAE, "decoder_widths": [4, 8], "decoder_blocks": [0, 1]}
    again = _config(data, tmp_path / "decoder", "autoencoder", model=smaller, start={"encoder": starts["autoencoder"]})
    run_stage(again)
    old, new = (FrameAutoencoder.from_pretrained(f) for f in (starts["autoencoder"], tmp_path / "decoder/model/vae"))
    frames = torch.rand(1, 3, 64, 64) * 2 - 1
    assert torch.equal(old.encode(frames).latent_dist.mode(), new.encode(frames).latent_dist.mode())
    assert sum(p.numel() for p in new.decoder.parameters()) < sum(p.numel() for p in old.decoder.parameters())
    assert weights_key(old) == weights_key(new)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_some_weights_alone_are_trained(data: Path, tmp_path: Path, kind: str) -> None:
    first = _config(data, tmp_path / "all", "fusion", model=TINY_FUSION, steps=1)
    run_stage(first)
    start = {"fusion": str(tmp_path / "all/model/fusion")}
    optim = {"warmup": 1, "lr": 1e-2, "kind": kind, "only": ["self_attn", "out_proj"]}
    some = _config(data, tmp_path / "some", "fusion", model=TINY_FUSION, steps=2, start=start, optim=optim)
    assert run_stage(some)["finished"]
    weights = [load_file(tmp_path / n / "model/fusion/diffusion_pytorch_model.safetensors") for n in ("all", "some")]
    moved = {name for name, value in weights[0].items() if not torch.equal(value, weights[1][name])}
    assert moved
    assert all("self_attn" in name or "out_proj" in name for name in moved)
    none = _config(data, tmp_path / "none", "fusion", model=TINY_FUSION, optim={"only": ["atention"]})
    with pytest.raises(BadValue, match="optim.only: got atention, which no weight is named after; .* such as "):
        run_stage(none)


def test_an_autoencoder_goes_on_as_a_whole_and_keeps_its_scale(
    data: Path, starts: dict[str, str], tmp_path: Path
) -> None:
    on = _config(data, tmp_path / "on", "autoencoder", model=TINY_VAE, start={"autoencoder": starts["autoencoder"]})
    run_stage(on)
    old, new = (FrameAutoencoder.from_pretrained(f) for f in (starts["autoencoder"], tmp_path / "on/model/vae"))
    assert torch.equal(old.scale.mean, new.scale.mean)
    assert torch.equal(old.scale.deviation, new.scale.deviation)
    for part in ("encoder", "decoder"):
        before, after = getattr(old, part).state_dict(), getattr(new, part).state_dict()
        assert not any(torch.equal(before[name], after[name]) for name in before)
    other = _config(
        data, tmp_path / "other", "autoencoder", model={**TINY_VAE, "widths": [12, 8]},
        start={"autoencoder": starts["autoencoder"]},
    )  # fmt: skip
    with pytest.raises(InputError, match="both must be alike"):
        run_stage(other)
