"""The one training loop. A stage is a `Task`; everything else here is the same for all of them.

Batches are drawn from (seed, process, step, part), so a resumed run sees what the stopped one would have seen. How many
processes there are, and whether weights are whole or in shards (FSDP), is accelerate's configuration.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedType
from torch import nn

from signgen import config as configuration
from signgen.dataset.batches import made_ahead
from signgen.errors import BadValue, InputError, RunError, Unsupported
from signgen.files import whole, writing
from signgen.model.loading import fast_in_bfloat16
from signgen.training import checkpoints
from signgen.training.checkpoints import RunState, Training, agree
from signgen.training.config import OptimConfig, TrainConfig
from signgen.training.logbook import ADVICE, LOG, Logbook
from signgen.training.optimizers import averaged, check_whole, is_sharded, make_average, make_optimizer
from signgen.training.resuming import CONFIG, load
from signgen.training.task import Task

SIGNALLED = "stopped by a signal"


def learning_rate(optim: OptimConfig, step: int, steps: int) -> float:
    """Warm-up, plateau, linear decay to 2 % over the last ``decay`` share of ``steps``."""
    rise = min(1.0, (step + 1) / max(optim.warmup, 1))
    fall = min(1.0, max(0.02, (steps - step) / max(optim.decay * steps, 1)))
    return optim.lr * rise * fall


def make_accelerator(config: TrainConfig) -> Accelerator:
    """bfloat16 autocast where the device computes faster in it, unless ``precision`` says otherwise."""
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if torch.cuda.is_available() or fast_in_bfloat16() else "no"
    if config.threads:
        torch.set_num_threads(config.threads)
    accelerator = Accelerator(
        mixed_precision=precision,
        cpu=not torch.cuda.is_available(),
        gradient_accumulation_steps=config.optim.accumulate,
    )
    _check_kind(accelerator, config)
    checkpoints.save_whole_weights(accelerator)
    return accelerator


def _check_kind(accelerator: Accelerator, config: TrainConfig) -> None:
    """The kinds of sharing weights among processes whose average and export this loop knows."""
    if accelerator.distributed_type == DistributedType.FSDP and not accelerator.is_fsdp2:
        raise Unsupported("fsdp_version", "got 1 in accelerate's configuration", "set it to 2")
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        settings = accelerator.state.deepspeed_plugin
        if settings.zero_stage > 2:
            advice = "take 1 or 2, or FSDP with fsdp_version 2, which shards the weights too"
            raise Unsupported("zero_stage", f"got {settings.zero_stage} in accelerate's configuration", advice)
        settings.deepspeed_config["train_micro_batch_size_per_gpu"] = config.batch


def recompute_activations(network: nn.Module) -> None:
    """Gradient checkpointing: activations are computed again in the backward pass, which takes time for memory."""
    able: list[Any] = [part for part in network.modules() if getattr(part, "_supports_gradient_checkpointing", False)]
    if not able:
        raise Unsupported("optim.checkpointing", "got true for a network that cannot", "set it to false for this stage")
    for part in able:
        part.enable_gradient_checkpointing()


def train_only(network: nn.Module, parts: Sequence[str]) -> None:
    """Freezes the weights whose names have none of the ``parts``; what is frozen already stays so.

    Raises:
        BadValue: no weight is left to be trained.
    """
    for name, weight in network.named_parameters():
        if not any(part in name for part in parts):
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in network.parameters()):
        raise named_after_none(parts, next(name for name, _ in network.named_parameters()))


def named_after_none(parts: Sequence[str], first: str, subject: str = "optim.only") -> BadValue:
    """The error for parts of names that no weight has; the ``first`` weight's name is an example."""
    advice = f"name parts of weights' names, which are such as {first}"
    return BadValue(subject, f"got {', '.join(parts)}, which no weight is named after", advice)


class Session:
    """One session of a run, from its start or its resumption to its end or its interruption."""

    def __init__(self, config: TrainConfig, accelerator: Accelerator, task: Task) -> None:
        self.config, self.accelerator, self.task = config, accelerator, task
        self.output = Path(config.output)
        if config.optim.only:
            train_only(task.trainable, config.optim.only)
        weights = [weight for weight in task.trainable.parameters() if weight.requires_grad]
        self.parameters = sum(weight.numel() for weight in weights)
        check_whole(config.optim, accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED))
        optimizer = make_optimizer(task.trainable, config.optim)
        self.network, self.optimizer = accelerator.prepare(task.trainable, optimizer)
        self.average = make_average(self.network, config.optim.ema)
        self.state, self.ended = RunState(), "done"
        self.training = Training(accelerator, self.network, self.average, self.state)

    def begin(self, changes: list[str]) -> None:
        """Goes back to the newest checkpoint if there is one, and opens the log, which names the ``changes``."""
        if self.accelerator.is_main_process:
            checkpoints.clean(self.output)
        self.accelerator.wait_for_everyone()
        known = checkpoints.whole_checkpoints(self.output)
        checkpoints.check_space(self.output, self.network, self.accelerator.num_processes)
        warnings = [f"{known[-1].name}: {text}" for text in load(self.training, known[-1])] if known else []
        done = f"goes on after {known[-1].name}" if known else "begins"
        size, place = f"{self.parameters:,} parameters", f"{self.accelerator.num_processes} x {self.accelerator.device}"
        LOG.info("stage %s %s: %d steps, %s, %s", self.config.stage, done, self.config.steps, size, place)
        for text in (*changes, *warnings):
            LOG.warning(text)
        self.log = Logbook(self.config, self.state, self.accelerator)
        if self.accelerator.is_main_process:
            with writing(self.output / CONFIG, ADVICE), whole(self.output / CONFIG) as temporary:
                configuration.save(self.config, temporary)

    def run(self, stopped: Callable[[], bool], advance: Callable[[int], None]) -> None:
        """Steps until they are done, the time is up, or a signal asks for an end; saves on the way and at the end."""
        with self._batches() as batches:
            try:
                self._run(batches, stopped, advance)
            except InputError:  # a file of the data set that cannot be read; what was learned before is not lost
                self._save_alone()
                raise
        checkpoints.save(self.training, self.output)
        self.log.line(last=True)
        self.log.close()

    def _batches(self) -> AbstractContextManager[Iterator[Any]]:
        """What is left to be seen, part after part of step after step, made ahead."""
        config, parts, process = self.config, self.config.optim.accumulate, self.accelerator.process_index

        def draw(number: int) -> Any:
            step, part = divmod(number, parts)
            return self.task.draw(np.random.default_rng((config.seed, process, step, part)), step)

        left = range(self.state.step * parts, config.steps * parts)
        return made_ahead(draw, left, config.prefetch, config.loaders)

    def _run(self, batches: Iterator[Any], stopped: Callable[[], bool], advance: Callable[[int], None]) -> None:
        config, state = self.config, self.state
        begun, before, waited = time.monotonic(), state.seconds, 0.0
        saved, end = begun, False
        while state.step < config.steps and not end:
            broken = self._step(batches)
            state.step += 1
            told = time.monotonic()
            try:
                advance(1)
            except BaseException:  # its caller ends it here; a step that is no number is not kept
                if not broken:
                    self._save_alone()
                raise
            now = time.monotonic()
            waited += now - told  # a caller may take its time, which is none of the training's
            spent = now - begun - waited
            state.seconds = before + spent
            timed_out = bool(config.minutes) and spent > config.minutes * 60
            due = now - saved > config.save_minutes * 60
            broken, end, due = agree(self.accelerator, broken, stopped() or timed_out, due)  # each has its own clock
            if end:
                self.ended = SIGNALLED if stopped() else f"stopped after {config.minutes:g} minutes"
            if broken:
                advice = "lower optim.lr and resume from the last checkpoint"
                raise RunError("training", f"the loss is no finite number in step {state.step}", advice)
            if state.step % config.log_steps == 0:
                self.log.line()
            if config.sheet_steps and state.step % config.sheet_steps == 0:
                self._sheet()
            if due:
                checkpoints.save(self.training, self.output)
                saved = time.monotonic()

    def _save_alone(self) -> None:
        """Saves what was learned before something is raised; of several processes, the others may not be there."""
        if self.accelerator.num_processes == 1 and self.state.step:
            checkpoints.save(self.training, self.output)

    def _step(self, batches: Iterator[Any]) -> bool:
        """One step of the optimizer; says whether its loss or its gradient is no finite number."""
        optim, accelerator = self.config.optim, self.accelerator
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(optim, self.state.step, self.config.steps)
            group["weight_decay"] = optim.weight_decay  # a checkpoint brings along what it was
        losses, sums, norm = 0.0, dict[str, float](), None
        with _as_begun(accelerator.device):
            for _ in range(optim.accumulate):
                loss, figures, norm = self._part(next(batches))
                losses += loss / optim.accumulate
                for name, value in figures.items():
                    sums[name] = sums.get(name, 0.0) + value / optim.accumulate
        self.average.step(self.network.parameters())
        self.log.add(losses, sums)
        return not math.isfinite(losses) or not self._is_sound(norm)

    def _part(self, drawn: Any) -> tuple[float, dict[str, float], Any]:
        """One part of a step, the last of which moves the weights: its loss, its figures, and the gradient's norm."""
        accelerator, norm = self.accelerator, None
        with accelerator.accumulate(self.network):
            with accelerator.autocast():
                loss, figures = self.task.loss(self.network, drawn)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                norm = accelerator.clip_grad_norm_(list(self.network.parameters()), self.config.optim.clip)
            self.optimizer.step()
            if self.optimizer.step_was_skipped:
                LOG.warning("step %d was skipped: its gradient is too large for float16", self.state.step + 1)
            self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach()), figures, norm

    def _is_sound(self, norm: Any) -> bool:
        """Whether the gradient's norm is a number; float16's scaler leaves out steps where it is not, by itself."""
        if norm is None or self.accelerator.scaler is not None:
            return True
        return math.isfinite(float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm))

    def _sheet(self) -> None:
        """A contact sheet with the averaged weights, which are the ones that are kept."""
        if self.accelerator.is_main_process or is_sharded(self.network):
            with averaged(self.network, self.average):
                self.log.sheet(self.task.sheet())


@contextmanager
def _as_begun(device: torch.device) -> Iterator[None]:
    """After an `InputError` random numbers are those from before, for a run goes on with the whole step again."""
    own, of_device = torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    except InputError:
        torch.set_rng_state(own)
        if of_device is not None:
            torch.cuda.set_rng_state(of_device, device)
        raise


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
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
