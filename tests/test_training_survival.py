"""A run survives what ends it: signals, kills in the middle of a checkpoint, full disks, damaged checkpoints."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import pickle
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from accelerate import PartialState
from safetensors.torch import load_file
from tiny_models import shake, tiny_denoiser, tiny_inputs
from training_runs import curve, fusion_config, fusion_settings, lines, noise_cache, two_trainings

from signgen import config as configuration
from signgen import signals
from signgen.dataset import training_data
from signgen.errors import InputError, RunError
from signgen.files import reason
from signgen.training import checkpoints, optimizers
from signgen.training.config import TrainConfig
from signgen.training.fusion import FusionTask
from signgen.training.loop import recompute_activations
from signgen.training.resuming import CONFIG, check_same_run
from signgen.training.run import run_stage

HERE = Path(__file__).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_cache(tmp_path_factory.mktemp("data"))


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"}


def _weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model/fusion/diffusion_pytorch_model.safetensors")


def _same_weights(one: Path, other: Path) -> bool:
    first, second = _weights(one), _weights(other)
    return first.keys() == second.keys() and all(torch.allclose(first[k], second[k], atol=1e-6) for k in first)


@pytest.mark.timeout(900)
def test_two_processes_stopped_and_killed_go_on_as_if_never_stopped(data: Path, commands: Path, tmp_path: Path) -> None:
    scenario = [*TORCHRUN, str(HERE / "two_processes.py"), str(data), str(tmp_path)]
    first = subprocess.run(scenario, capture_output=True, text=True, env=_environment(), timeout=400)
    assert "SIGKILL" in first.stderr or "exitcode  : -9" in first.stderr, first.stderr[-3000:]
    left = sorted(path.name for path in (tmp_path / "stopped/checkpoints").iterdir())
    assert left[0].startswith(".signgen-"), "what the kill left unfinished has no name that counts"
    assert left[1:] == ["step-00000003", "step-00000004"]
    assert lines(tmp_path / "stopped")[-1]["step"] == 5, "it told of a step that no checkpoint holds"

    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(fusion_settings(data, tmp_path / "stopped", optim={"accumulate": 2})))
    first_said, second_said = two_trainings(commands, config, "--resume", "--json")
    assert (json.loads(first_said)["steps"], second_said) == (6, ""), "one process speaks for both"
    assert [step for step, *_ in curve(tmp_path / "whole")] == [1, 2, 3, 4, 5, 6]
    assert np.allclose(curve(tmp_path / "stopped"), curve(tmp_path / "whole"), rtol=0, atol=2e-6)
    assert _same_weights(tmp_path / "stopped", tmp_path / "whole")


def test_lines_between_checkpoints_are_those_of_a_run_without_stops(data: Path, tmp_path: Path) -> None:
    def run(name: str, steps: int, resume: bool = False) -> Path:
        run_stage(fusion_config(data, tmp_path / name, steps=steps, log_steps=4), resume=resume)
        return tmp_path / name

    whole = run("whole", 10)
    assert [line["step"] for line in lines(whole)] == [4, 8, 10]
    assert all(line["seconds_left"] >= 0 and line["frames_per_second"] > 0 for line in lines(whole))
    run("parts", 3)
    assert [line["step"] for line in lines(tmp_path / "parts")] == [3], "a short run tells its end"
    run("parts", 6, resume=True)
    with open(tmp_path / "parts/log.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 8, "loss": 1.0, "recall_at_1": 1.0}\n{"step": 9, "lo')
    parts = run("parts", 10, resume=True)
    assert np.allclose(curve(parts), curve(whole), rtol=0, atol=2e-6)
    assert _same_weights(parts, whole)


def test_batches_made_ahead_change_nothing(data: Path, tmp_path: Path) -> None:
    def run(name: str, steps: int, resume: bool = False, **ahead: int) -> Path:
        settings = fusion_config(data, tmp_path / name, steps=steps, optim={"accumulate": 2}, **ahead)
        run_stage(settings, resume=resume)
        return tmp_path / name

    whole = run("whole", 5, prefetch=0)
    ahead = run("ahead", 5, prefetch=6, loaders=3)
    assert curve(ahead) == curve(whole)
    assert len({loss for _, loss, _ in curve(whole)}) == 5, "each step sees other windows"
    run("parts", 2, prefetch=6, loaders=3)  # two more steps were drawn than were made: they are drawn again
    parts = run("parts", 5, resume=True, prefetch=1)
    assert np.allclose(curve(parts)[2:], curve(whole)[2:], rtol=0, atol=2e-6)
    assert _same_weights(parts, whole)
    assert _same_weights(ahead, whole)
    with pytest.raises(InputError, match="prefetch, loaders: got 2, 0"):
        fusion_config(data, tmp_path, loaders=0)


def test_resuming_another_configuration_is_told_or_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stage(fusion_config(data, tmp_path / "run", steps=1))
    run_stage(fusion_config(data, tmp_path / "run", steps=2, save_minutes=9.0, prefetch=0), resume=True)
    assert "WARNING" not in capsys.readouterr().err, "neither changes what a step does"
    run_stage(fusion_config(data, tmp_path / "run", steps=3, batch=3, optim={"lr": 5e-4}), resume=True)
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    assert "batch was 4, optim.lr was 0.001; the run goes on with the new settings" in told
    other = dataclasses.replace(fusion_config(data, tmp_path / "run", steps=4, model={}), stage="autoencoder")
    with pytest.raises(InputError, match="holds a run of the stage 'fusion', the configuration is one of 'autoenc"):
        run_stage(other, resume=True)
    with pytest.raises(InputError, match=r"model: unknown key 'visoin'; did you mean vision[?] keys are"):
        run_stage(fusion_config(data, tmp_path / "new", model={"visoin": 3}))


def test_weight_decay_may_change_on_the_way_and_what_trains_may_not(data: Path, tmp_path: Path) -> None:
    run_stage(fusion_config(data, tmp_path / "run", steps=1))
    run_stage(fusion_config(data, tmp_path / "run", steps=2, optim={"weight_decay": 0.3}), resume=True)
    state = torch.load(tmp_path / "run/checkpoints/step-00000002/optimizer.bin", weights_only=True)
    assert [group["weight_decay"] for group in state["param_groups"]] == [0.3]
    with pytest.raises(
        InputError, match=r"optim.only: got \['combiner'\], the run in .* is one of \[\]; set it to that"
    ):
        run_stage(fusion_config(data, tmp_path / "run", steps=3, optim={"only": ["combiner"]}), resume=True)


def test_a_refiner_is_told_that_clips_of_the_sheet_are_trained_on_now(tmp_path: Path) -> None:
    settings = {"stage": "hand_refiner", "data": "data", "output": str(tmp_path), "steps": 1}
    configuration.save(configuration.build(TrainConfig, {**settings, "sheet_steps": 500}), tmp_path / CONFIG)
    assert not check_same_run(configuration.build(TrainConfig, {**settings, "sheet_steps": 100}), tmp_path)
    (told,) = check_same_run(configuration.build(TrainConfig, {**settings, "sheet_steps": 0}), tmp_path)
    assert "sheet_steps was 500" in told


def test_other_processes_wait_for_days(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def state(**settings: Any) -> PartialState:
        given.append(settings)
        return PartialState(**settings)

    monkeypatch.setattr("signgen.training.run.PartialState", state)
    run_stage(fusion_config(data, tmp_path / "run", steps=1))
    assert given[0]["timeout"] >= timedelta(days=1), "the first process paints a data set meanwhile"


@pytest.mark.timeout(900)
def test_sigterm_saves_and_exits_0(data: Path, tmp_path: Path) -> None:
    config, output = tmp_path / "config.yaml", tmp_path / "run"
    config.write_text(yaml.safe_dump(fusion_settings(data, output, steps=100_000)))
    command = [sys.executable, "-m", "signgen", "train", str(config), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=_environment(), **pipes) as process:
        end = time.monotonic() + 300
        while not (output / "log.jsonl").is_file() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        said, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    result = json.loads(said)
    assert not result["finished"]
    assert (output / f"checkpoints/step-{result['steps']:08d}/run.json").is_file()
    assert (output / "model/fusion/config.json").is_file()


def test_sigterm_ends_what_goes_before_the_first_step(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rendering a data set takes up to hours, in which nobody would look whether a step is to be the last."""

    def prepare(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    monkeypatch.setattr("signgen.training.run.make_task", prepare)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), signals.raised():
        run_stage(fusion_config(data, tmp_path / "run", steps=1))
    assert time.monotonic() - begun < 30


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["SIGNGEN_TEST_TRACE"],)


def test_a_checkpoint_runs_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNGEN_TEST_TRACE", str(tmp_path / "trace"))
    run_stage(fusion_config(data, tmp_path / "run", steps=1))
    (tmp_path / "run/checkpoints/step-00000001/optimizer.bin").write_bytes(pickle.dumps(_Attack()))
    with pytest.raises(RunError, match="cannot be read"):
        run_stage(fusion_config(data, tmp_path / "run", steps=2), resume=True)
    assert not (tmp_path / "trace").exists()


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(data: Path, tmp_path: Path) -> None:
    run_stage(fusion_config(data, tmp_path / "run", steps=3, save_minutes=0.0))
    folder = tmp_path / "run/checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000002", "step-00000003"], "the older are dropped"
    weights = folder / "step-00000003/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"step-00000003: cannot be read .* remove that folder"):
        run_stage(fusion_config(data, tmp_path / "run", steps=4), resume=True)
    shutil.rmtree(folder / "step-00000003")
    assert run_stage(fusion_config(data, tmp_path / "run", steps=4), resume=True)["finished"]
    other = {"vision": {**fusion_settings(data, tmp_path)["model"]["vision"], "hidden_size": 24}}
    with pytest.raises(InputError, match="a network of other sizes"):
        run_stage(fusion_config(data, tmp_path / "run", steps=5, model=other), resume=True)


def test_a_full_disk_ends_in_one_line_and_the_last_checkpoint_stays(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    run_stage(fusion_config(data, output, steps=2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:  # no file may grow beyond 10 kB: writing fails in its middle, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        with pytest.raises(RunError, match=r"step-00000004: cannot be written .*; step-00000002 is whole: free"):
            run_stage(fusion_config(data, output, steps=4), resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (output / "checkpoints").iterdir()] == ["step-00000002"]
    assert json.loads((output / "model/training.json").read_text())["step"] == 2, "the model is as it was"
    run_stage(fusion_config(data, output, steps=4), resume=True)
    run_stage(fusion_config(data, tmp_path / "whole", steps=4))
    assert np.allclose(curve(output), curve(tmp_path / "whole"), rtol=0, atol=2e-6)


def test_a_run_that_was_killed_between_two_renames_goes_on_with_the_old_model(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "run"
    run_stage(fusion_config(data, output, steps=1))
    os.replace(output / "model", output / ".signgen-old-model")  # as the kill leaves it: the new one is not there yet

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_write", full)
        with pytest.raises(RunError, match="no space left on the disk; the run itself is saved"):
            run_stage(fusion_config(data, output, steps=2), resume=True)
    assert json.loads((output / "model/training.json").read_text())["step"] == 1
    run_stage(fusion_config(data, output, steps=2), resume=True)
    assert json.loads((output / "model/training.json").read_text())["step"] == 2
    assert not list(output.glob(".signgen-*"))


def test_a_full_disk_is_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    assert reason(OSError(errno.ENOSPC, "No space left on device"), tmp_path) == "no space left on the disk"
    assert reason(RuntimeError("I/O error: (os error 28)"), tmp_path) == "no space left on the disk"
    assert "denied" in reason(OSError(errno.EACCES, "Permission denied"), tmp_path)
    monkeypatch.setattr(checkpoints, "free_bytes", lambda folder: 1000)
    with pytest.raises(InputError, match="1 KiB are free; a checkpoint takes"):
        run_stage(fusion_config(data, tmp_path / "run"))


@pytest.mark.parametrize(("parts", "calls", "steps"), [(1, 3, 3), (3, 7, 2)])
def test_a_frame_that_cannot_be_read_ends_in_one_line_and_what_was_learned_stays(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int, calls: int, steps: int
) -> None:
    """Also where a part of a step is done: the step begins again, with the random numbers that it began with."""
    real = FusionTask.loss

    def loss(self: FusionTask, *given: Any) -> Any:
        if len(seen) == calls:
            raise InputError("images0007.png", "is a damaged image", "unpack that clip again")
        seen.append(1)
        return real(self, *given)

    def config(name: str) -> Any:
        return fusion_config(data, tmp_path / name, optim={"accumulate": parts})

    seen: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(FusionTask, "loss", loss)
        with pytest.raises(InputError, match=r"images0007.png: is a damaged image"):
            run_stage(config("run"))
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == [f"step-{steps:08d}"]
    run_stage(config("run"), resume=True)
    run_stage(config("whole"))
    assert np.allclose(curve(tmp_path / "run"), curve(tmp_path / "whole"), rtol=0, atol=2e-6)
    assert _same_weights(tmp_path / "run", tmp_path / "whole")


def test_a_full_disk_while_frames_are_decoded_is_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training_data, "build_cache", full)
    with pytest.raises(RunError, match="no space left on the disk; free some space, or give another folder"):
        run_stage(fusion_config(data, tmp_path / "run", cache=str(tmp_path / "elsewhere")))


def test_the_log_of_a_run_says_what_happened(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start, checkpoints, warnings, resumption and errors, with the time, in the folder and on standard error."""
    output = tmp_path / "run"

    def log() -> list[str]:
        """What the file has more than at the last time, after the date and the time of each line."""
        whole = (output / "run.log").read_text(encoding="utf-8").splitlines()
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO|WARNING|ERROR) ", line) for line in whole)
        fresh, seen[:] = whole[len(seen) :], whole
        told = capsys.readouterr().err.splitlines()
        assert [line for line in fresh if " ERROR " not in line] == [line for line in told if line[:2] == "20"]
        return [line[20:] for line in fresh]

    seen: list[str] = []
    run_stage(fusion_config(data, output, steps=2))
    begun, checkpoint, done = log()
    assert begun.startswith("INFO stage fusion begins: 2 steps, ")
    assert begun.endswith("parameters, 1 x cpu")
    assert re.fullmatch(r"INFO step-00000002 written in \d+\.\d s", checkpoint)
    assert done == f"INFO done at step 2; model in {output}/model"

    real, stop = FusionTask.loss, {"at": 2}

    def loss(self: FusionTask, *given: Any) -> Any:
        stop["at"] -= 1
        if not stop["at"]:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(FusionTask, "loss", loss)
        run_stage(fusion_config(data, output, steps=9, batch=3, prefetch=0), resume=True)
    on, changed, *_, end = log()
    assert on.startswith("INFO stage fusion goes on after step-00000002: 9 steps")
    assert changed.startswith("WARNING ")
    assert "batch was 4" in changed
    assert end == f"INFO stopped by a signal at step 4; model in {output}/model"

    monkeypatch.setattr(FusionTask, "loss", lambda self, *given: (real(self, *given)[0] * float("nan"), {}))
    with pytest.raises(RunError):
        run_stage(fusion_config(data, output, steps=9, batch=3), resume=True)
    *_, failed = log()
    assert failed.startswith("ERROR training: the loss is no finite number in step 5; ")
    assert not logging.getLogger("signgen.training").handlers, "nothing stays behind in a program that goes on"


def test_lost_random_numbers_are_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_stage(fusion_config(data, tmp_path / "run", steps=1))
    (tmp_path / "run/checkpoints/step-00000001/random_states_0.pkl").unlink()
    run_stage(fusion_config(data, tmp_path / "run", steps=2), resume=True)
    assert "step-00000001: lacks random_states_0.pkl" in capsys.readouterr().err


def test_a_loss_that_is_no_number_ends_the_run_and_is_not_saved(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FusionTask.loss

    def loss(self: FusionTask, network: torch.nn.Module, drawn: Any) -> Any:
        value, figures = real(self, network, drawn)
        return value * (float("nan") if len(seen) == 2 else 1), figures | {"seen": float(seen.append(1) or 0)}

    seen: list[int] = []
    monkeypatch.setattr(FusionTask, "loss", loss)
    with pytest.raises(RunError, match="no finite number in step 3"):
        run_stage(fusion_config(data, tmp_path / "run", save_minutes=0.0))
    newest = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())[-1]
    assert newest == "step-00000002"


def test_tensorboard_gets_what_the_log_gets(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            told.append(("open", Path(folder).name, purge_step))

        def __getattr__(self, name: str) -> Any:
            return lambda *values, **named: told.append((name, *values))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    run_stage(fusion_config(data, tmp_path / "run", steps=2, tensorboard=True))
    losses = [(entry[3], entry[2]) for entry in told if entry[:2] == ("add_scalar", "loss")]
    assert losses == [(line["step"], line["loss"]) for line in lines(tmp_path / "run")]
    run_stage(fusion_config(data, tmp_path / "run", steps=3, tensorboard=True), resume=True)
    assert [entry for entry in told if entry[0] == "open"] == [("open", "tensorboard", 1), ("open", "tensorboard", 3)]
    assert told[-1] == ("close",)


def test_without_tensorboard_one_line_says_how_to_get_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run_stage(fusion_config(data, tmp_path / "run", steps=1, tensorboard=True))
    told = [line for line in capsys.readouterr().err.splitlines() if "is not installed" in line]
    assert len(told) == 1
    assert 'pip install "signgen[logs]"' in told[0]


def test_recomputed_activations_give_the_same_gradients() -> None:
    gradients = []
    for again in (False, True):
        denoiser = tiny_denoiser(cross_view={"heads": 4, "groups": 8, "attentions": 1, "ff_mult": 0}).train()
        shake(denoiser)
        if again:
            recompute_activations(denoiser)
        calls = 0

        def count(*_: Any) -> None:
            nonlocal calls
            calls += 1

        denoiser.unet.down_blocks[0].resnets[0].register_forward_pre_hook(count)  # recomputing may stop early
        torch.manual_seed(3)
        denoiser(**tiny_inputs(), views=2).square().mean().backward()
        assert calls == (2 if again else 1)
        gradients.append([p.grad for p in denoiser.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    with pytest.raises(InputError, match="optim.checkpointing"):
        recompute_activations(torch.nn.Linear(2, 2))


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of one process, in which weights can be cut into shards as FSDP does."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_shards_are_averaged_saved_and_exported(tmp_path: Path) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    fully_shard(network, mesh=init_device_mesh("cpu", (1,)))
    assert optimizers.is_sharded(network)
    average = optimizers.make_average(network, 0.5)
    begun = [value.full_tensor().clone() for value in average.shadow_params]
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    average.step(network.parameters())
    own = [parameter.full_tensor().clone() for parameter in network.parameters()]
    path = optimizers.file_of(tmp_path, sharded=True, process=0)
    optimizers.save_average(average, path)
    other = optimizers.make_average(network, 0.5)
    optimizers.load_average(other, path, optimizers.scalars(average))
    assert other.optimization_step == 1
    with optimizers.averaged(network, other):
        now = [parameter.full_tensor().clone() for parameter in network.parameters()]
        keep = lambda folder: torch.save(network.state_dict(), folder / "w")  # noqa: E731
        task = types.SimpleNamespace(trainable=network, save=keep)
        whole = {name: parameter.full_tensor() for name, parameter in network.named_parameters()}
        checkpoints._write(task, whole, tmp_path, {"step": 1})
    kept = torch.load(tmp_path / "model/w", weights_only=True)
    wanted = [value.full_tensor() for value in average.shadow_params]
    assert all(torch.equal(value, other) for value, other in zip(now, wanted, strict=True))
    assert all(type(value) is torch.Tensor and torch.equal(value, whole[name]) for name, value in kept.items())
    assert all(torch.equal(p.full_tensor(), value) for p, value in zip(network.parameters(), own, strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(begun, own, strict=True))
