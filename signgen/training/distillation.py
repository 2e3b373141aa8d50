"""The distill stage: a student that renders in 1, 2 or 4 evaluations a frame, with guidance folded in.

The earlier stages noise the truth. A sampler never sees that: from its second evaluation on it stands on what it
estimated before, and errors that training did not show it grow into grain that changes with every frame. Here the
student first walks along its own estimates, over the very timesteps of rendering, and then learns one evaluation from
where it stands. The target is the truth, or for a share of windows (``loss.teacher``) what a guided teacher makes of
the same noise in finer steps; see `signgen.model.diffusion.distillation`. On drawn people, whose pictures follow
from pose and source, the truth is the better target; a data set with blur and misplaced
keypoints is smoothed by the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from signgen.model.diffusion.distillation import ddim_move, student_steps, teacher_target
from signgen.model.diffusion.guidance import guided
from signgen.model.diffusion.losses import denoising_loss
from signgen.model.diffusion.parametrisation import add_noise, denoised_from
from signgen.model.networks.denoiser import ConditionDrop, Denoiser
from signgen.training.denoiser import DenoiserStep, DenoiserTask, Denoising, Evaluated, training_scheduler
from signgen.training.inputs import Inputs
from signgen.training.starts import stage_network, stage_prediction

PER_WINDOW = ("source", "semantic")  # the other fields of `Inputs` are given for each item


@dataclass(frozen=True)
class Walks:
    """For each of B windows the evaluations of a sampler up to the one that is looked at.

    Attributes:
        now, after: int64 (B, S) timesteps, padded behind each walk's own steps.
        before: (B,) evaluations that come before the one that is looked at; ``total`` where all are made.
        total: (B,) evaluations of the whole sampler.
    """

    now: Tensor
    after: Tensor
    before: np.ndarray
    total: np.ndarray

    def at(self, numbers: np.ndarray, windows: np.ndarray, views: int) -> tuple[Tensor, Tensor]:
        """(items,) timesteps now and after of the given evaluation of each of the windows, repeated for their views."""
        now, after = (times[windows, numbers] for times in (self.now, self.after))
        return now.repeat_interleave(views), after.repeat_interleave(views)


class Distillation(Denoising):
    """Each item is evaluated where the student's own sampler has brought it, and held against x0.

    Errors of x0 weigh the same at all timesteps: each becomes part of the picture in the end.
    """

    def __init__(self, task: DenoiserTask) -> None:
        super().__init__(task)
        self.paths = {count: student_steps(self.scheduler, count) for count in self.settings.student_steps}
        start = task.config.start["denoiser"]
        self.teacher = self._teacher(start) if self.settings.teacher else None
        self.taught = training_scheduler(task.config, stage_prediction(start))  # whatever the student's

    def _teacher(self, start: str) -> DenoiserStep:
        """The denoiser as it was when the stage began, also when the stage is resumed."""
        teacher = stage_network(Denoiser, start).to(self.device).eval().requires_grad_(False)
        teacher.to(memory_format=torch.channels_last)
        teacher.set_attention("math" if self.device.type == "cpu" else "sdpa")
        return DenoiserStep(teacher)

    def __call__(
        self,
        network: nn.Module,
        inputs: Inputs,
        views: int,
        weights: Tensor,
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> Evaluated:
        """One evaluation of each window on the student's own way; ``last`` are the items that end there, and whose
        target is the truth."""
        windows = np.arange(len(inputs.latents) // views)
        walks = self._draw_walks(len(windows), rng)
        from_teacher = rng.random(len(windows)) < self.settings.teacher
        noise = torch.randn(inputs.latents.shape, generator=generator, device=self.device)
        now, after = walks.at(walks.before, windows, views)
        with self.task.as_rendered():
            noisy = self._with_known(inputs, self._walk(inputs, views, noise, walks), noise, now)
            target = self.targets(inputs, views, noisy, noise, (now, after), np.flatnonzero(from_teacher))
        prediction = network(inputs, noisy, now, None, views).float()
        clean = denoised_from(self.scheduler, prediction, noisy, now)
        latent, plain = denoising_loss(clean, target, weights)
        last = torch.from_numpy((walks.before == walks.total - 1) & ~from_teacher).repeat_interleave(views)
        return Evaluated(latent, clean, last.to(self.device), {"latent": float(plain)})

    # -- the student's own way -------------------------------------------------------------------------------------

    def _draw_walks(self, count: int, rng: np.random.Generator) -> Walks:
        """A number of steps and one of these steps for each of ``count`` windows, both evenly."""
        total = rng.choice(self.settings.student_steps, count)
        return self._walks(total, (rng.random(count) * total).astype(np.int64))

    def _walks(self, total: np.ndarray, before: np.ndarray) -> Walks:
        longest = int(total.max())
        now, after = (torch.zeros(len(total), longest, dtype=torch.long) for _ in range(2))
        for row, count in enumerate(total):
            now[row, :count], after[row, :count] = self.paths[int(count)]
        return Walks(now.to(self.device), after.to(self.device), before, total)

    def _walk(self, inputs: Inputs, views: int, noise: Tensor, walks: Walks) -> Tensor:
        """Latents (N, C, h, w) after each window's ``before`` evaluations of the student, by DDIM without noise."""
        latents = noise.clone()
        for done in range(int(walks.before.max(initial=0))):
            active = np.flatnonzero(walks.before > done)
            items = _items(active, views, self.device)
            now, after = walks.at(np.full(len(active), done), active, views)
            part = _pick(inputs, active, items)
            noisy = self._with_known(part, latents[items], noise[items], now)
            prediction = self.task.trainable(part, noisy, now, None, views).float()
            clean = denoised_from(self.scheduler, prediction, noisy, now)
            latents[items] = ddim_move(self.scheduler, clean, noisy, now, after)
        return latents

    def _with_known(self, inputs: Inputs, latents: Tensor, noise: Tensor, now: Tensor) -> Tensor:
        """Latents (N, C, h, w) in which known views are what the pipeline makes of them: noised again in each step."""
        if inputs.flag is None or inputs.known is None:  # a denoiser without image-level condition: nothing is known
            return latents
        return torch.where(inputs.flag > 0, add_noise(self.scheduler, inputs.known, noise, now), latents)

    # -- the teacher -----------------------------------------------------------------------------------------------

    def targets(
        self, inputs: Inputs, views: int, noisy: Tensor, noise: Tensor, times: tuple[Tensor, Tensor], chosen: np.ndarray
    ) -> Tensor:
        """x0 (N, C, h, w): the truth, but the teacher's for the ``chosen`` windows; ``times`` now and after, (N,)."""
        if self.teacher is None or not len(chosen):
            return inputs.latents
        items = _items(chosen, views, self.device)
        part, own, (now, after) = _pick(inputs, chosen, items), noise[items], times

        def predict(latents: Tensor, current: Tensor) -> Tensor:
            seen = self._with_known(part, latents, own, current)
            return guided(lambda name: self._branch(name, part, seen, current, views), *self.settings.guidance)

        target, steps = inputs.latents.clone(), self.settings.teacher_steps
        target[items] = teacher_target(self.taught, predict, noisy[items], now[items], after[items], steps)
        return target

    def _branch(self, name: str, inputs: Inputs, noisy: Tensor, timesteps: Tensor, views: int) -> Tensor:
        """The teacher's prediction (N, C, h, w) in one branch of guidance: ``null``, ``source`` or ``full``."""
        gone = torch.ones(len(noisy), dtype=torch.bool, device=self.device)
        poses = ~gone if self.settings.guidance_rule == "imagpose" else gone
        drops = {"null": ConditionDrop(poses, gone, gone), "source": ConditionDrop(~gone, ~gone, gone), "full": None}
        assert self.teacher is not None
        return self.teacher(inputs, noisy, timesteps, drops[name], views).float()

    # -- progress --------------------------------------------------------------------------------------------------

    def rendered(self, inputs: Inputs, noise: Tensor) -> list[Tensor]:
        """Clean latents in one step, and in all others that the student is made for, fewest first."""
        more = [self.render(inputs, 1, noise, count) for count in sorted(self.paths) if count > 1]
        return [*super().rendered(inputs, noise), *more]

    def render(self, inputs: Inputs, views: int, noise: Tensor, steps: int) -> Tensor:
        """Clean latents (N, C, h, w) of the student in one of ``loss.student_steps``, from ``noise``."""
        total = np.full(len(noise) // views, steps)
        return self._walk(inputs, views, noise, self._walks(total, total))


def _items(windows: np.ndarray, views: int, device: torch.device) -> Tensor:
    """Indices of all views of some windows."""
    return torch.from_numpy((windows[:, None] * views + np.arange(views)).ravel()).to(device)


def _pick(inputs: Inputs, windows: np.ndarray, items: Tensor) -> Inputs:
    """The inputs of some windows alone."""
    chosen = torch.from_numpy(windows).to(items.device)
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(inputs)):
        value = getattr(inputs, name)
        values[name] = None if value is None else value[chosen if name in PER_WINDOW else items]
    return Inputs(**values)
