"""A denoiser that is asked for clean latents instead of v, and windows of more than one length."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from training_runs import VISION, lines, make, noise_cache

from signgen.dataset.cache import FrameCache
from signgen.dataset.training_data import cache_folder
from signgen.errors import InputError
from signgen.model.diffusion.parametrisation import denoised_from
from signgen.model.networks.denoiser import Denoiser
from signgen.training.config import TrainConfig
from signgen.training.denoiser import DenoiserTask
from signgen.training.distillation import Distillation
from signgen.training.run import make_task, run_stage
from signgen.training.starts import restated, stage_prediction

VAE = {"widths": [8, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1, 1]}
DENOISER = {
    "channels": 16, "block_out_channels": [16, 16], "layers_per_block": 1, "attention": [False, True], "head_dim": 8,
    "norm_groups": 8, "cross_attention_dim": 16, "pose": {"block_out_channels": [8, 8], "unshuffle": 2, "fine": 4},
    "source": {"semantic_dim": None, "patch": 4, "positions": True, "dropout": 0.0}, "fusion_dim": 16,
    "fusion_hidden": 16, "image_level": True, "fill": "source",
    "cross_view": {"levels": [1], "mid": False, "heads": 2, "groups": 8, "attentions": 1, "ff_mult": 0},
    "detail": {"features": 4, "width": 8, "blocks": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_cache(tmp_path_factory.mktemp("data"), 128, 136)


@pytest.fixture(scope="module")
def starts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A denoiser that predicts v, none of whose parts add nothing any more."""
    folder = tmp_path_factory.mktemp("runs")
    run_stage(make(data, folder / "ae", "autoencoder", model=VAE))
    run_stage(make(data, folder / "fusion", "fusion", model={"vision": VISION}))
    found = {"autoencoder": str(folder / "ae/model/vae"), "fusion": str(folder / "fusion/model/fusion")}
    run_stage(make(data, folder / "den", "denoiser", start=found, model=DENOISER))
    denoiser = Denoiser.from_pretrained(folder / "den/model/denoiser")
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in denoiser.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    denoiser.save_pretrained(folder / "den/model/denoiser")
    return {**found, "denoiser": str(folder / "den/model/denoiser")}


def task_of(config: TrainConfig) -> DenoiserTask:
    folder = cache_folder(config.data)
    return make_task(config, FrameCache.open(folder), torch.device("cpu"), folder)


def clean(task: DenoiserTask, timestep: int) -> Tensor:
    """What the task's denoiser takes the clean latents of a batch to be, always the same one."""
    rng = np.random.default_rng(1)
    inputs, views, _ = task.inputs(task.draw(rng), task.denoiser.known_input, torch.Generator().manual_seed(0))
    noise = torch.randn(inputs.latents.shape, generator=torch.Generator().manual_seed(1))
    times = torch.full((len(noise),), timestep)
    task.denoiser.eval()
    with torch.no_grad():
        return denoised_from(task.scheduler, task.trainable(inputs, noise, times, None, views), noise, times)


def test_one_step_is_the_same_after_the_change_from_v(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    before, after = (
        task_of(make(data, tmp_path, "denoiser", start=starts, prediction=kind)) for kind in ("v_prediction", "sample")
    )
    assert before.denoiser.detail_head is not None
    torch.testing.assert_close(clean(after, 999), clean(before, 999), atol=1e-5, rtol=1e-5)
    assert float((clean(after, 300) - clean(before, 300)).abs().mean()) > 0.01, "elsewhere it is but a start"


def test_what_is_predicted_goes_from_stage_to_stage(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    """A student of clean latents is stored as one, and a stage after it takes it as it is."""
    config = make(data, tmp_path / "one", "distill", start=starts, prediction="sample", loss={"student_steps": [1, 2]})
    run_stage(config)
    student = tmp_path / "one/model/denoiser"
    assert stage_prediction(student) == "sample"
    assert stage_prediction(starts["denoiser"]) == "v_prediction"
    after = make(data, tmp_path / "two", "denoiser", start={**starts, "denoiser": str(student)}, prediction="sample")
    weights = dict(Denoiser.from_pretrained(student).state_dict())
    for name, value in task_of(after).denoiser.state_dict().items():
        torch.testing.assert_close(value, weights[name], msg=name)
    back = task_of(make(data, tmp_path, "denoiser", start={**starts, "denoiser": str(student)}))
    torch.testing.assert_close(clean(back, 999), clean(task_of(after), 999), atol=1e-5, rtol=1e-5)


def test_a_teacher_of_v_teaches_a_student_of_clean_latents(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    """Its target is the same picture, whatever the student is asked for."""
    found = []
    for kind in ("v_prediction", "sample"):
        loss = {"student_steps": [2], "teacher": 1.0, "teacher_steps": 3, "guidance": [1.5, 1.2]}
        task = task_of(make(data, tmp_path, "distill", start=starts, prediction=kind, loss=loss))
        student = task.evaluate
        assert isinstance(student, Distillation)
        drawn = task.draw(np.random.default_rng(1))
        inputs, views, _ = task.inputs(drawn, task.denoiser.known_input, torch.Generator().manual_seed(0))
        noise = torch.randn(inputs.latents.shape, generator=torch.Generator().manual_seed(1))
        times = tuple(time[0].expand(len(noise)) for time in student.paths[2])
        with task.as_rendered():
            found.append(student.targets(inputs, views, noise, noise, times, np.arange(2)))
    torch.testing.assert_close(found[0], found[1])


def test_a_denoiser_of_another_prediction_is_no_start(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(Path(starts["denoiser"]).parent, model)
    path = model / "scheduler/scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "epsilon"}))
    config = make(data, tmp_path, "distill", start={**starts, "denoiser": str(model / "denoiser")}, prediction="sample")
    with pytest.raises(InputError, match=r"start.denoiser: it predicts epsilon; take one that predicts sample"):
        task_of(config)
    with pytest.raises(InputError, match="prediction: got 'epsilon'; it is one of v_prediction, sample"):
        make(data, tmp_path, "denoiser", prediction="epsilon")


def test_restating_twice_gives_the_same_network(starts: dict[str, str]) -> None:
    denoiser = Denoiser.from_pretrained(starts["denoiser"])
    before = {name: value.clone() for name, value in denoiser.state_dict().items()}
    once = {name: value.clone() for name, value in restated(denoiser, "v_prediction", "sample").state_dict().items()}
    changed = {name for name, value in once.items() if not torch.equal(value, before[name])}
    outputs = {"detail_head.join.weight", "detail_head.out.weight", "detail_head.out.bias"}
    assert changed == outputs | {"unet.conv_out.weight", "unet.conv_out.bias"}
    for name, value in restated(denoiser, "sample", "v_prediction").state_dict().items():
        torch.testing.assert_close(value, before[name], atol=0, rtol=0)


def test_windows_take_turns_in_length_and_a_resumed_run_keeps_the_turn(
    data: Path, starts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    draw = DenoiserTask.draw

    def watched(self: DenoiserTask, rng: np.random.Generator, step: int = 0) -> object:
        batch = draw(self, rng, step)
        seen.append((step, batch.windows.target.shape[1]))
        return batch

    monkeypatch.setattr(DenoiserTask, "draw", watched)
    settings = {"start": starts, "views_in_turn": [2, 3, 5], "prefetch": 0, "batch": 1}
    run_stage(make(data, tmp_path / "run", "video", steps=2, **settings))
    run_stage(make(data, tmp_path / "run", "video", steps=4, **settings), resume=True)
    assert seen == [(0, 2), (1, 3), (2, 5), (3, 2)]
    last = lines(tmp_path / "run")[-1]
    assert last["frames_per_second"] * last["seconds"] == pytest.approx(
        2 + 3 + 5 + 2, rel=0.05 / max(last["seconds"] - 0.05, 0.01) + 0.01
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"views_in_turn": [4, 0]}, r"views_in_turn: got \[4, 0\]; each must be 1 or more"),
        ({"views_in_turn": [4, 2], "known": 2}, "known: got 2 of 2 views"),
    ],
)
def test_turns_that_make_no_sense_are_refused(
    data: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        make(data, tmp_path, "video", **changes)
