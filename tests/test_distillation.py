"""Distillation: targets in closed form, the student's way against the sampler's, and that the stage does its work."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor
from training_runs import two_trainings

from signgen import config as configuration
from signgen.dataset.cache import FrameCache, build_cache
from signgen.dataset.pairs import draw_windows
from signgen.dataset.training_data import cache_folder
from signgen.errors import InputError
from signgen.model.diffusion.distillation import END, ddim_move, landing_target, student_steps, teacher_target
from signgen.model.diffusion.guidance import guided
from signgen.model.diffusion.parametrisation import add_noise, denoised_from, signal_and_noise
from signgen.model.diffusion.sampling import sample, schedule
from signgen.model.networks.cross_view import CrossViewAttention
from signgen.training import run
from signgen.training.config import TrainConfig
from signgen.training.denoiser import SCHEDULE, DenoiserTask
from signgen.training.distillation import Distillation
from signgen.training.inputs import Inputs
from signgen.training.run import run_stage
from signgen.training.task import seeded

SHAPE = (3, 2, 4, 5)


def noise(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def knowing(scheduler: DDIMScheduler, clean: Tensor):
    """The v-prediction of one who knows the answer; timesteps one per item."""

    def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
        a, s = signal_and_noise(scheduler, timesteps, noisy)
        return (a * noisy - clean) / s

    return predict


# ---- pure functions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 20])
def test_the_students_steps_are_those_of_the_sampler(steps: int) -> None:
    scheduler = DDIMScheduler(**SCHEDULE)

    def predict(noisy: Tensor, timestep: Tensor) -> Tensor:
        return torch.tanh(noisy) - 0.3 * noisy.flip(-1)

    wanted = sample(predict, noise(0), scheduler, schedule(scheduler, steps))
    current = noise(0)
    for now, after in zip(*student_steps(scheduler, steps), strict=True):
        times = (now.expand(3), after.expand(3))
        clean = denoised_from(scheduler, predict(current, now), current, times[0])
        current = ddim_move(scheduler, clean, current, *times)
    torch.testing.assert_close(current, wanted, atol=1e-5, rtol=1e-4)
    assert int(after) == END


def test_items_of_a_batch_move_as_they_would_alone() -> None:
    scheduler = DDIMScheduler(**SCHEDULE)
    now, after = torch.tensor([999, 499, 249]), torch.tensor([749, 249, END])
    together = ddim_move(scheduler, noise(0), noise(1), now, after)
    for row in range(3):
        part = slice(row, row + 1)
        alone = ddim_move(scheduler, noise(0)[part], noise(1)[part], now[part], after[part])
        torch.testing.assert_close(together[part], alone)


def test_landing_target_is_the_inverse_of_a_move() -> None:
    scheduler, clean, noisy = DDIMScheduler(**SCHEDULE), noise(0), noise(1)
    now, after = torch.tensor([999, 749, 249]), torch.tensor([749, 499, END])
    landed = ddim_move(scheduler, clean, noisy, now, after)
    torch.testing.assert_close(landing_target(scheduler, landed, noisy, now, after), clean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(landed[2], clean[2])  # at the clean end there is nothing but x0


@pytest.mark.parametrize("substeps", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_teacher_who_knows_the_truth_teaches_the_truth(steps: int, substeps: int) -> None:
    scheduler, clean = DDIMScheduler(**SCHEDULE), noise(0)
    predict = knowing(scheduler, clean)
    for now, after in zip(*student_steps(scheduler, steps), strict=True):
        times = (now.expand(3), after.expand(3))
        noisy = add_noise(scheduler, clean, noise(1), times[0])
        target = teacher_target(scheduler, predict, noisy, *times, substeps)
        torch.testing.assert_close(target, clean, atol=1e-4, rtol=1e-4)


def test_a_guided_target_of_one_step_is_equation_12_by_hand() -> None:
    scheduler, noisy = DDIMScheduler(**SCHEDULE), noise(3)
    branches = {"null": noise(0), "source": noise(1), "full": noise(2)}
    now, after = torch.full((3,), 499), torch.full((3,), 249)

    def predict(latents: Tensor, timesteps: Tensor) -> Tensor:
        return guided(branches.__getitem__, 3.0, 1.5)

    v = branches["null"] + 3.0 * (branches["source"] - branches["null"])
    v = v + 1.5 * (branches["full"] - branches["source"])
    signal = float(scheduler.alphas_cumprod[499])
    by_hand = signal**0.5 * noisy - (1 - signal) ** 0.5 * v
    target = teacher_target(scheduler, predict, noisy, now, after, 1)
    torch.testing.assert_close(target, by_hand, atol=1e-4, rtol=1e-4)


def test_a_target_of_two_steps_by_hand() -> None:
    """A teacher whose x0 is always half of what it sees, from 999 (no signal) by 749 to 499."""
    scheduler, start = DDIMScheduler(**SCHEDULE), noise(0)

    def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
        a, s = signal_and_noise(scheduler, timesteps, noisy)
        return (a * noisy - 0.5 * noisy) / s

    (a1, s1), (a2, s2) = ((float(p) ** 0.5, float(1 - p) ** 0.5) for p in scheduler.alphas_cumprod[[749, 499]])
    middle = a1 * 0.5 + s1  # times the start: its noise is the start itself
    landed = a2 * 0.5 * middle + s2 * (middle - a1 * 0.5 * middle) / s1
    target = teacher_target(scheduler, predict, start, torch.full((3,), 999), torch.full((3,), 499), 2)
    torch.testing.assert_close(target, (landed - s2) / a2 * start, atol=1e-4, rtol=1e-4)


# ---- the stage -------------------------------------------------------------------------------------------------------

SIZE = (130, 132)
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
STUDENT = {"student_steps": [1, 2, 4]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips: a plain backdrop of the clip's own colour, and a bright square where the right hand is."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def clips():
        for number in range(3):
            places = rng.integers(20, 90, (8, 2))
            frames = np.empty((8, SIZE[1], SIZE[0], 3), np.uint8)
            frames[:] = rng.integers(20, 120, 3)
            keypoints = np.zeros((8, 133, 3))
            for frame, points, (x, y) in zip(frames, keypoints, places, strict=True):
                frame[y : y + 24, x : x + 24] = 240
                points[112:133, :2] = (x, y) + rng.uniform(0, 24, (21, 2))
                points[112:133, 2] = 1
            yield f"clip{number}", "s01", frames, keypoints

    build_cache(clips(), cache_folder(folder))
    return folder


def make_config(data: Path, output: Path, stage: str, **changes: object) -> TrainConfig:
    content = {
        "stage": stage, "data": str(data), "output": str(output), "steps": 3, "batch": 2, "threads": 1,
        "precision": "no", "sheet_steps": 0, "log_steps": 1, "optim": {"warmup": 1, "decay": 0.0},
        "disturbance": dict.fromkeys(("drop_hand", "drop_face", "drop_legs"), 0.0), **changes,
    }  # fmt: skip
    return configuration.build(TrainConfig, content)


@pytest.fixture(scope="module")
def starts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Autoencoder, fusion model, and a denoiser that has only ever seen pure noise: one step is all that it can do."""
    folder = tmp_path_factory.mktemp("runs")
    run_stage(make_config(data, folder / "ae", "autoencoder", model=TINY_VAE, steps=40, optim={"lr": 5e-3}))
    run_stage(make_config(data, folder / "fusion", "fusion", model=TINY_FUSION))
    found = {"autoencoder": str(folder / "ae/model/vae"), "fusion": str(folder / "fusion/model/fusion")}
    optim = {"lr": 3e-3, "warmup": 5, "decay": 0.0, "ema": 0.9}
    run_stage(
        make_config(
            data,
            folder / "den",
            "denoiser",
            start=found,
            model=TINY_DENOISER,
            steps=80,
            batch=8,
            optim=optim,
            loss={"drop": 0.1, "null_share": 0.1},
        )  # fmt: skip
    )
    return {**found, "denoiser": str(folder / "den/model/denoiser")}


def make_task(config: TrainConfig) -> DenoiserTask:
    folder = cache_folder(config.data)
    return run.make_task(config, FrameCache.open(folder), torch.device("cpu"), folder)


def student_of(task: DenoiserTask) -> Distillation:
    assert isinstance(task.evaluate, Distillation)
    return task.evaluate


def sight(task: DenoiserTask, views: int = 1) -> tuple[Inputs, int, Tensor]:
    """Inputs of 12 windows that are always the same, the views of a window, and noise."""
    rng = np.random.default_rng(3)
    drawn = task.batches.of(draw_windows(task.cache, 12, views, rng), rng)
    inputs, views, _ = task.inputs(drawn, task.denoiser.known_input, seeded(rng, task.device))
    return inputs, views, torch.randn(inputs.latents.shape, generator=seeded(rng, task.device))


def errors(task: DenoiserTask, views: int = 1) -> dict[int, float]:
    """Mean squared error of the latents that are to be generated, by number of steps."""
    inputs, views, start = sight(task, views)
    found = {}
    with task.as_rendered():
        for steps in student_of(task).paths:
            wrong = (student_of(task).render(inputs, views, start, steps) - inputs.latents) ** 2
            found[steps] = float(wrong.mean(1, keepdim=True)[inputs.flag == 0].mean())
    return found


def test_distillation_lowers_the_error_of_few_steps(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    optim = {"lr": 3e-3, "warmup": 5, "decay": 0.0, "ema": 0.9}
    config = make_config(
        data, tmp_path / "student", "distill", start=starts, loss=STUDENT, steps=60, batch=8, optim=optim
    )
    before = errors(make_task(config))
    assert before[4] > 1.5 * before[1], "a denoiser that was made for one step gets worse with more"
    run_stage(config)
    student = {**starts, "denoiser": str(tmp_path / "student/model/denoiser")}
    after = errors(make_task(make_config(data, tmp_path / "again", "distill", start=student, loss=STUDENT)))
    assert all(after[steps] < 0.85 * before[steps] for steps in (1, 2, 4)), (before, after)


def test_the_student_comes_nearer_to_the_guided_teacher(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    optim = {"lr": 3e-3, "warmup": 5, "decay": 0.0, "ema": 0.9}
    loss = {"student_steps": [1], "teacher": 1.0, "teacher_steps": 2, "guidance": [1.5, 1.2]}
    config = make_config(data, tmp_path / "student", "distill", start=starts, loss=loss, steps=30, batch=4, optim=optim)
    task = make_task(config)

    def distance(student: DenoiserTask) -> float:
        inputs, views, start = sight(task)
        now, after = (times.expand(len(start)) for times in student_of(task).paths[1])
        with task.as_rendered(), student.as_rendered():
            wanted = student_of(task).targets(inputs, views, start, start, (now, after), np.arange(len(start)))
            return float(((student_of(student).render(inputs, views, start, 1) - wanted) ** 2).mean())

    before = distance(task)
    assert before > 0.01, "guidance and finer steps change the answer"
    run_stage(config)
    student = {**starts, "denoiser": str(tmp_path / "student/model/denoiser")}
    assert distance(make_task(make_config(data, tmp_path / "again", "distill", start=student, loss=loss))) < before / 2


def test_a_stopped_run_goes_on_as_if_never_stopped(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    """The teacher stays the denoiser that the stage began with, though the student is read from a checkpoint."""

    def make(name: str, steps: int) -> TrainConfig:
        loss = {**STUDENT, "teacher": 0.5, "teacher_steps": 2, "pixel": 1.0, "crop": 64, "zooms": 2, "zoom": 64}
        return make_config(
            data, tmp_path / name, "distill", start=starts, loss=loss, steps=steps, views=2, optim={"decay": 0.0}
        )

    run_stage(make("whole", 4))
    run_stage(make("parts", 2))
    run_stage(make("parts", 4), resume=True)
    whole, parts = (
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    )
    assert [line["step"] for line in whole] == [line["step"] for line in parts] == [1, 2, 3, 4]
    for one, other in zip(whole, parts, strict=True):
        for key in ("loss", "latent", "pixel", "zoom_latent"):
            assert one[key] == pytest.approx(other[key], rel=1e-5)


def test_the_student_walks_as_the_pipeline_renders(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    from signgen.model import SignGenPipeline
    from signgen.model.diffusion.noise import frame_noise
    from signgen.model.networks.autoencoder import FrameAutoencoder
    from signgen.model.networks.fusion import FusionModel

    config = make_config(data, tmp_path / "x", "distill", start=starts, loss=STUDENT, views=3)
    task = make_task(config)
    for module in task.denoiser.modules():
        if isinstance(module, CrossViewAttention):  # starts at zero: no view would see another
            torch.nn.init.normal_(module.proj_out.weight, std=4.0)
    rng = np.random.default_rng(1)
    windows = draw_windows(task.cache, 4, 3, rng)
    drawn = task.batches.of(windows, rng)
    inputs, views, bits = task.inputs(drawn, task.denoiser.known_input, seeded(rng, task.device))
    row = int(bits[:, 1].nonzero()[0])  # a window that is given a frame rendered before
    pipeline = SignGenPipeline(
        vae=FrameAutoencoder.from_pretrained(starts["autoencoder"]), denoiser=task.denoiser, scheduler=task.scheduler,
        fusion=FusionModel.from_pretrained(starts["fusion"]), frame_size=SIZE,
    ).prepared()  # fmt: skip
    source = pipeline.encode_source(np.array(task.cache.frames[windows.source[row]]))
    poses = (inputs.pose.reshape(4, views, *inputs.pose.shape[1:])[row, 1:] * 255).round().byte()
    known = inputs.known.reshape(4, views, *inputs.known.shape[1:])[row]
    made = pipeline(
        source, poses.permute(0, 2, 3, 1).numpy(), [11, 12], known_latents=[known[1]], num_inference_steps=4, seed=5
    )
    start = inputs.latents.clone()
    start[row * views :][:views] = frame_noise(5, [2**62, 10, 11, 12], tuple(start.shape[1:]))
    with task.as_rendered():
        walked = student_of(task).render(inputs, views, start, 4)[row * views :][2:views]
    # Stored latents of the source are rounded, those of the pipeline are not.
    torch.testing.assert_close(walked, made.latents, atol=0.01, rtol=0.01)


def test_gradients_reach_every_weight_under_autocast(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    task = make_task(make_config(data, tmp_path / "x", "distill", start=starts, loss={"student_steps": [2]}, batch=4))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = task.loss(task.trainable, task.draw(np.random.default_rng(1)))
    loss.backward()
    lacking = [name for name, weight in task.trainable.named_parameters() if weight.grad is None]
    assert not lacking


def test_two_processes_train_together(data: Path, starts: dict[str, str], commands: Path, tmp_path: Path) -> None:
    config = make_config(data, tmp_path / "run", "distill", start=starts, loss={**STUDENT, "teacher": 0.5}, steps=2)
    path = tmp_path / "distill.yaml"
    path.write_text("")
    configuration.save(config, path)
    two_trainings(commands, path)
    record = json.loads((tmp_path / "run/model/training.json").read_text())
    assert (record["step"], record["processes"]) == (2, 2)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"student_steps": []}, r"loss.student_steps: got \[\]"),
        ({"student_steps": [1, 0]}, "give one or more numbers from 1 to"),
        ({"teacher": 1.5}, "a share from 0 to 1"),
        ({"teacher_steps": 0}, "1 step or more"),
        ({"guidance": [2.0]}, "two weights"),
        ({"drop": 0.1}, "a student always has its conditions"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(tmp_path: Path, loss: dict, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        make_config(tmp_path, tmp_path, "distill", loss=loss)
    assert "\n" not in str(caught.value)


def test_the_sheet_shows_every_number_of_steps(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    for counts, rows in (([1], 5), ([4, 2, 1, 2], 7)):  # source, pose, truth, autoencoder and one step come first
        task = make_task(make_config(data, tmp_path / "x", "distill", start=starts, loss={"student_steps": counts}))
        assert task.sheet().shape == (rows * task.canvas[1], 8 * task.canvas[0], 3)


def test_the_stage_needs_a_trained_denoiser(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    less = {name: folder for name, folder in starts.items() if name != "denoiser"}
    with pytest.raises(InputError, match="start.denoiser: no trained denoiser"):
        run_stage(make_config(data, tmp_path / "x", "distill", start=less))


def test_inputs_of_some_windows_are_all_that_is_theirs(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    from signgen.training.distillation import _items, _pick

    task = make_task(make_config(data, tmp_path / "x", "distill", start=starts, loss=STUDENT))
    inputs, views, _ = sight(task, 2)
    windows = np.array([7, 2])
    items = _items(windows, views, task.device)
    assert items.tolist() == [21, 22, 23, 6, 7, 8]
    part = _pick(inputs, windows, items)
    for field in fields(inputs):
        whole, picked = getattr(inputs, field.name), getattr(part, field.name)
        if whole is not None:
            per_window = whole.reshape(12, -1)
            assert torch.equal(picked.reshape(2, -1), per_window[windows]), field.name
