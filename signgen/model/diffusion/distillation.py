"""Targets for a student that needs few evaluations: what one of its steps shall lead to, and how its steps follow.

Progressive distillation (Salimans & Ho 2022): a teacher walks from a student's timestep to its next one in several
finer DDIM steps, and the student learns the x0 with which its one step lands in the same place. Guided distillation
(Meng et al. 2023): the teacher's predictions are guided ones, so the student needs no null branch any more. Here the
weights of guidance are fixed and not an input of the student.

Notation as in `signgen.model.diffusion.parametrisation`: z_t = a x0 + s e. A timestep of `END` is the clean end, where
a^2 is the scheduler's ``final_alpha_cumprod``. Items of one batch may stand at different timesteps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from signgen.model.diffusion.parametrisation import denoised_from
from signgen.model.diffusion.sampling import schedule

END = -1

Predict = Callable[[Tensor, Tensor], Tensor]  # (noisy (N, C, h, w), timesteps (N,)) -> prediction (N, C, h, w)


def student_steps(scheduler: Any, steps: int) -> tuple[Tensor, Tensor]:
    """The evaluations of a DDIM sampler with ``steps`` steps: its timesteps and where each of them leads.

    Returns:
        (steps,) int64 timesteps as `schedule` has them in rendering, and (steps,) the timesteps that DDIM's step
        goes to, the last one `END`. Where ``steps`` does not divide the training timesteps, a step of diffusers'
        sampler may go one timestep beside the next evaluation; so does this.
    """
    now = schedule(scheduler, steps).long().clone()
    after = now - scheduler.config.num_train_timesteps // steps
    return now, after.clamp(min=END)


def ddim_move(scheduler: Any, clean: Tensor, noisy: Tensor, now: Tensor, after: Tensor) -> Tensor:
    """DDIM's step without noise (Song et al. 2021, eq. 12): z_after = a' x0 + s' (z_now - a x0) / s.

    Args:
        clean: (N, C, h, w) estimate of x0; noisy: (N, C, h, w) z_now.
        now, after: (N,) timesteps; ``now`` is none of zero noise.
    """
    (a, s), (a_after, s_after) = _levels(scheduler, now, noisy), _levels(scheduler, after, noisy)
    return a_after * clean + (s_after / s) * (noisy - a * clean)


def landing_target(scheduler: Any, landed: Tensor, noisy: Tensor, now: Tensor, after: Tensor) -> Tensor:
    """The x0 with which one DDIM step from ``noisy`` lands on ``landed``: the inverse of `ddim_move`.

    x = (z_after - (s'/s) z_now) / (a' - (s'/s) a), Salimans & Ho 2022, algorithm 2. ``after`` has less noise than
    ``now``, so that the divisor is above 0; at the clean end x = z_after.
    """
    (a, s), (a_after, s_after) = _levels(scheduler, now, noisy), _levels(scheduler, after, noisy)
    ratio = s_after / s
    return (landed - ratio * noisy) / (a_after - ratio * a)


def teacher_target(
    scheduler: Any, predict: Predict, noisy: Tensor, now: Tensor, after: Tensor, substeps: int
) -> Tensor:
    """x0 that the student shall predict at ``now``, from ``substeps`` DDIM steps of the teacher to ``after``.

    Args:
        predict: the teacher, guided (`signgen.model.diffusion.guidance.guided`), in the scheduler's parametrisation.
        noisy: (N, C, h, w) where the student stands.
        now, after: (N,) timesteps at which the student's step begins and ends.
        substeps: finer steps, 1 or more, evenly spaced in time; 1: the target is the teacher's own x0.
    """
    current, time = noisy, now
    for turn in range(1, substeps + 1):
        following = (now + (after - now) * (turn / substeps)).round().long()  # (N,)
        clean = denoised_from(scheduler, predict(current, time), current, time)  # (N, C, h, w)
        current, time = ddim_move(scheduler, clean, current, time, following), following
    return landing_target(scheduler, current, noisy, now, after)


def _levels(scheduler: Any, timesteps: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """(a, s), each (N, 1, ..., 1), at timesteps (N,) of which some may be `END`."""
    known = scheduler.alphas_cumprod.to(like.device)[timesteps.clamp(min=0)]  # (N,)
    last = torch.as_tensor(scheduler.final_alpha_cumprod).to(known)
    alphas = torch.where(timesteps == END, last, known).float().view(-1, *[1] * (like.dim() - 1))
    return alphas.sqrt().to(like.dtype), (1.0 - alphas).sqrt().to(like.dtype)
