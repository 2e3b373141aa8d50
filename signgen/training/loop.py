"""The one training loop. A stage is a `Task`; everything else here is the same for all of them.

Batches are drawn from (seed, rank, step), so a resumed run sees what the stopped one would have seen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel

from signgen import config as configuration
from signgen.errors import InputError, RunError
from signgen.training.config import OptimConfig, TrainConfig
from signgen.training.task import Task

KEEP = 2  # checkpoints kept: the newest, and one before it in case the newest is damaged by the disk


@dataclass
class RunState:
    """Where a run stands: steps done and wall time spent in all of its sessions, in seconds."""

    step: int = 0
    seconds: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = int(state["step"]), float(state["seconds"])


def learning_rate(optim: OptimConfig, step: int, steps: int) -> float:
    """Warm-up, plateau, linear decay to 2 % over the last ``decay`` share of ``steps``."""
    rise = min(1.0, (step + 1) / max(optim.warmup, 1))
    fall = min(1.0, max(0.02, (steps - step) / max(optim.decay * steps, 1)))
    return optim.lr * rise * fall


def make_accelerator(config: TrainConfig) -> Accelerator:
    """bfloat16 autocast where the device has it (AMX or AVX512 on CPUs), unless ``precision`` says otherwise."""
    precision = config.precision
    if precision == "auto":
        cpu_flags = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
        fast = torch.cuda.is_available() or "amx_bf16" in cpu_flags or "avx512_bf16" in cpu_flags
        precision = "bf16" if fast else "no"
    if config.threads:
        torch.set_num_threads(config.threads)
    return Accelerator(
        mixed_precision=precision,
        cpu=not torch.cuda.is_available(),
        gradient_accumulation_steps=config.optim.accumulate,
    )


def train(
    config: TrainConfig,
    make_task: Callable[[TrainConfig, torch.device], Task],
    resume: bool = False,
    advance: Callable[[int], None] = lambda n: None,
) -> dict[str, Any]:
    """Runs (or goes on with) a stage and returns where it ended. The trained parts are in ``<output>/model``."""
    output = Path(config.output)
    newest = _prepare_output(output, resume)
    accelerator = make_accelerator(config)
    torch.manual_seed(config.seed)
    task = make_task(config, accelerator.device)
    optimizer = torch.optim.AdamW(
        [p for p in task.trainable.parameters() if p.requires_grad],
        lr=config.optim.lr,
        weight_decay=config.optim.weight_decay,
    )
    network, optimizer = accelerator.prepare(task.trainable, optimizer)
    ema = EMAModel(task.trainable.parameters(), decay=config.optim.ema, use_ema_warmup=True, power=0.75)
    ema.to(accelerator.device)
    state = RunState()
    accelerator.register_for_checkpointing(ema, state)
    if newest is not None:
        accelerator.load_state(str(newest))
        ema.to(accelerator.device)  # accelerate reads it to the CPU
    if accelerator.is_main_process:
        configuration.save(config, output / "config.yaml")
    advance(state.step)
    with _stop_flag() as stopped:
        _run(config, task, network, optimizer, ema, state, accelerator, stopped, advance)
    finished = state.step >= config.steps
    if accelerator.is_main_process:
        _export(task, ema, output, state, config, accelerator.num_processes)
    return {
        "stage": config.stage,
        "output": str(output),
        "steps": state.step,
        "seconds": round(state.seconds, 1),
        "finished": finished,
        "parameters": sum(p.numel() for p in task.trainable.parameters()),
    }


def _run(
    config: TrainConfig,
    task: Task,
    network: torch.nn.Module,
    optimizer: Any,
    ema: EMAModel,
    state: RunState,
    accelerator: Accelerator,
    stopped: Callable[[], bool],
    advance: Callable[[int], None],
) -> None:
    """Steps until they are done, the time is up, or a signal asks for an end; saves on the way and at the end."""
    output = Path(config.output)
    begun, before = time.monotonic(), state.seconds
    saved, logged, sums = begun, state.step, dict[str, float]()
    trainable = [p for p in task.trainable.parameters() if p.requires_grad]
    while state.step < config.steps and not stopped():
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config.optim, state.step, config.steps)
        for part in range(config.optim.accumulate):
            seed = (config.seed, accelerator.process_index, state.step, part)
            with accelerator.accumulate(network), accelerator.autocast():
                loss, figures = task.loss(network, np.random.default_rng(seed))
            accelerator.backward(loss)
        accelerator.clip_grad_norm_(trainable, config.optim.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.step(task.trainable.parameters())
        state.step += 1
        advance(1)
        _gather(sums, float(loss.detach()), figures)
        now = time.monotonic()
        state.seconds = before + now - begun
        if state.step - logged >= config.log_steps:
            _log(output, state, sums, state.step - logged, config, accelerator)
            logged, sums = state.step, {}
        if config.sheet_steps and state.step % config.sheet_steps == 0 and accelerator.is_main_process:
            _sheet(task, ema, output / "sheets" / f"step-{state.step:06d}.png")
        if now - saved > config.save_minutes * 60:
            _checkpoint(accelerator, output, state.step)
            saved = now
        if config.minutes and now - begun > config.minutes * 60:
            break
    _checkpoint(accelerator, output, state.step)


def _gather(sums: dict[str, float], loss: float, figures: dict[str, float]) -> None:
    if not np.isfinite(loss):
        raise RunError("training", f"the loss became {loss}", "lower optim.lr and resume from the last checkpoint")
    for name, value in {"loss": loss, **figures}.items():
        sums[name] = sums.get(name, 0.0) + value


def _log(
    output: Path, state: RunState, sums: dict[str, float], steps: int, config: TrainConfig, accelerator: Accelerator
) -> None:
    """One JSON line of means since the last one; the file is the run's history over all its sessions."""
    if not accelerator.is_main_process:
        return
    means = {name: round(total / steps, 6) for name, total in sums.items()}
    samples = config.batch * config.views * config.optim.accumulate * accelerator.num_processes
    rate = samples * state.step / max(state.seconds, 1e-6)
    line = {"step": state.step, "seconds": round(state.seconds, 1), "frames_per_second": round(rate, 2), **means}
    with open(output / "log.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _sheet(task: Task, ema: EMAModel, path: Path) -> None:
    """A contact sheet with the averaged weights, which are the ones that are kept."""
    from PIL import Image

    with _averaged(task, ema):
        picture = task.sheet()
    if picture is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


@contextmanager
def _averaged(task: Task, ema: EMAModel) -> Any:
    ema.store(task.trainable.parameters())
    ema.copy_to(task.trainable.parameters())
    try:
        yield
    finally:
        ema.restore(task.trainable.parameters())


def _export(task: Task, ema: EMAModel, output: Path, state: RunState, config: TrainConfig, processes: int) -> None:
    """Writes ``model`` with the averaged weights, whole or not at all."""
    temporary = output / "model.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with _averaged(task, ema):
        task.save(temporary)
    content = {**state.state_dict(), "processes": processes, "config": configuration.to_dict(config)}
    (temporary / "training.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    shutil.rmtree(output / "model", ignore_errors=True)
    os.replace(temporary, output / "model")


def _checkpoint(accelerator: Accelerator, output: Path, step: int) -> None:
    """Writes ``checkpoints/step-N`` under another name, renames it, and drops all but the newest ones."""
    target = output / "checkpoints" / f"step-{step:08d}"
    temporary = target.with_suffix(".tmp")
    if target.exists():
        return
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        os.replace(temporary, target)
        for old in sorted(target.parent.glob("step-*[0-9]"))[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)


def _prepare_output(output: Path, resume: bool) -> Path | None:
    """The newest whole checkpoint to go on from, or None for a new run; never mixes two runs in one folder."""
    checkpoints = sorted((output / "checkpoints").glob("step-*[0-9]")) if output.exists() else []
    if checkpoints and not resume:
        raise InputError(output, "already holds a run", "add --resume to go on with it, or name another output")
    if resume and not checkpoints and output.exists() and any(output.iterdir()):
        shutil.rmtree(output / "checkpoints", ignore_errors=True)  # only unfinished ones: begin again
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(output, error.strerror or "cannot be made", "name a folder that can be written") from None
    for unfinished in (output / "checkpoints").glob("*.tmp"):
        shutil.rmtree(unfinished, ignore_errors=True)
    return checkpoints[-1] if checkpoints else None


@contextmanager
def _stop_flag() -> Any:
    """SIGTERM and Ctrl-C end the run after the current step, with a checkpoint, instead of in its middle."""
    asked = {"stop": False}

    def ask(number: int, frame: Any) -> None:
        asked["stop"] = True

    previous = {}
    with suppress(ValueError):  # not in the main thread: signals stay as they are
        previous = {s: signal.signal(s, ask) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: asked["stop"]
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
