"""Ways to sample the same model: as published, with each saving that changes nothing, and as students do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler
from sampler_model import SD_SCHEDULE, Model
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from signgen.model import SourceConditions, WindowConditions
from signgen.model.diffusion.guidance import guided
from signgen.model.diffusion.noise import frame_noise, step_noise
from signgen.model.diffusion.sampling import sample, schedule
from signgen.model.engine import TorchEngine
from signgen.model.networks.attention import ContextMemory
from signgen.pose_image.strokes import draw_clip

WEIGHT = 2.0  # FPDM: w1 = w2 = 2
PARTS = ("source", "conditions", "denoiser", "decoder")
STUDENT_SCHEDULE = {**SD_SCHEDULE, "timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "steps_offset": 0}


@dataclass(frozen=True)
class Way:
    """How frames are made.

    Attributes:
        exact: its frames are to be those of the published sampler.
        collapse: the branch that cancels when w1 == w2 is not evaluated.
        once: the source is encoded once a clip, not once a frame.
        keep: keys and values of the source's tokens are kept as long as the tokens stay the same.
        skip: the null branch's cross-attention is left out, instead of attending to zero tokens.
        steps: of sampling, each of so many branches of guidance as are not saved.
        student: whether it is one, which needs no guidance.
        pipeline: which of the model's pipelines makes the frames, see `Model`.
    """

    name: str
    exact: bool = True
    collapse: bool = False
    once: bool = False
    keep: bool = False
    skip: bool = False
    steps: int = 20
    student: bool = False
    pipeline: str = "square"

    @property
    def branches(self) -> int:
        return 1 if self.student else 2 if self.collapse else 3


def _student(name: str, steps: int, **more: Any) -> Way:
    savings = {"exact": False, "collapse": True, "once": True, "keep": True, "skip": True}
    return Way(name, steps=steps, student=True, **savings, **more)


WAYS = {
    "published": Way("published"),
    "collapse": Way("two branches where w1 = w2", collapse=True),
    "once": Way("source encoded once a clip", once=True),
    "keep": Way("keys and values kept", keep=True),
    "skip": Way("no cross-attention in the null branch", skip=True),
    "exact": Way("all four together", collapse=True, once=True, keep=True, skip=True),
    "student4": _student("student, 4 steps", 4),
    "student2": _student("student, 2 steps", 2),
    "student1": _student("student, 1 step", 1),
    "small4": _student("student, 4 steps, small decoder", 4, pipeline="small"),
    "narrow4": _student("student, 4 steps, small decoder, aspect kept", 4, pipeline="narrow"),
}


@dataclass
class Cost:
    """What a frame takes, by part: seconds, or floating-point operations."""

    of: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    def each(self, frames: int) -> Cost:
        return Cost({name: value / frames for name, value in self.of.items()})

    def total(self) -> float:
        return sum(self.of.values())


class Sampler:
    """Makes frames in one way.

    Args:
        model: what is sampled.
        way: how.
        keypoints: (T, 133, 3) of the square canvas, that drive it.
        image: uint8 (H, W, 3), the source, square.
        batch: frames that are made at a time.
        seed: of the noise.
        run: steps that are run at most; each of the others is taken to cost what the last one of these did.
        compiled: run the networks through torch.compile.
        remembers: whether the engine has a memory for keys and values; with torch.compile it has none.
    """

    def __init__(
        self,
        model: Model,
        way: Way,
        keypoints: np.ndarray,
        image: np.ndarray,
        batch: int,
        seed: int,
        run: int,
        compiled: bool = False,
        remembers: bool = True,
    ) -> None:
        self.way, self.batch, self.seed, self.keypoints = way, batch, seed, keypoints
        self.run = min(run, way.steps)
        self.pipeline = getattr(model, way.pipeline)
        self.image = np.ascontiguousarray(image[:, : self.pipeline.frame_size[0]])
        if way.student:
            self.scheduler: Any = DDIMScheduler(**STUDENT_SCHEDULE)
        else:
            self.scheduler = self.pipeline.scheduler
        self.engine = TorchEngine(self.pipeline, compiled)
        self.engine.memory = ContextMemory(way.keep, way.skip) if remembers else None
        self.pipeline.engine = self.engine
        self._source: SourceConditions | None = None

    def source(self) -> SourceConditions:
        """Conditions of one source, or of as many as there are frames where each frame's own is encoded."""
        if self.way.once and self._source is not None:
            return self._source
        made = [self.pipeline.encode_source(self.image) for _ in range(1 if self.way.once else self.batch)]
        tokens, embedding = torch.cat([m.tokens for m in made]), torch.cat([m.embedding for m in made])
        self._source = SourceConditions(made[0].latents, tokens, embedding)
        return self._source

    def frames(self, start: int, watch: Watch) -> tuple[np.ndarray, Tensor]:
        """Frames uint8 (N, H, W, 3) and latents (N, C, h, w), the first of them frame ``start`` of the clip."""
        numbers = range(start, start + self.batch)
        with watch.part("source"):
            source = self.source()
        with watch.part("conditions"):
            conditions = self.pipeline.window_conditions(source, self._poses(numbers), ())
        latents = self._sample(conditions, numbers, watch)
        with watch.part("decoder"):
            frames = self.pipeline.decode(latents)
        return frames, latents

    def _poses(self, numbers: range) -> np.ndarray:
        """Pose images uint8 (N, H, W, 3)."""
        points = self.keypoints[np.array(numbers) % len(self.keypoints)]
        size = self.pipeline.canvas_size
        return draw_clip(points[..., :2], points[..., 2], (size[1], size[1]), size)

    @torch.inference_mode()
    def _sample(self, conditions: WindowConditions, numbers: range, watch: Watch) -> Tensor:
        shape, device = tuple(conditions.clean.shape[1:]), self.pipeline.device
        branch = self._branches(conditions)
        left = self.way.steps - self.run

        def denoise(latents: Tensor, timestep: Tensor) -> Tensor:
            with watch.part("denoiser") if left else nullcontext():
                return self._guided(lambda name: self.engine.denoise(latents, timestep, branch[name]))

        with nullcontext() if left else watch.part("denoiser"):  # as a whole, where all of it is run
            latents = sample(
                denoise,
                frame_noise(self.seed, numbers, shape, device=device),
                self.scheduler,
                schedule(self.scheduler, self.way.steps, device)[: self.run],
                noises=lambda step: step_noise(self.seed, numbers, step, shape, device=device),
            )
        watch.cost.of["denoiser"] += left * watch.last
        return latents

    def _guided(self, evaluate: Callable[[str], Tensor]) -> Tensor:
        if self.way.student:
            return guided(evaluate, 1.0, 1.0)
        if self.way.collapse:
            return guided(evaluate, WEIGHT, WEIGHT)
        null, source, full = (evaluate(name) for name in ("null", "source", "full"))
        return null + WEIGHT * (source - null) + WEIGHT * (full - source)  # FPDM eq. 12, as it is written

    def _branches(self, conditions: WindowConditions) -> dict[str, dict[str, Tensor | None]]:
        """Each branch's conditions. As published, no condition means zeros of it, which are computed like any other."""
        given = {name: conditions.branch(name) for name in ("null", "source", "full")}
        tokens = conditions.tokens
        if not self.way.keep and len(tokens) == 1:  # one context for each frame, though frames may share a source
            tokens = tokens.expand(self.batch, -1, -1)
        for name in ("source", "full"):
            given[name]["tokens"] = tokens
        if not self.way.skip:
            given["null"]["tokens"] = torch.zeros_like(tokens)
        return given


class Watch:
    """Measures parts of the work: their seconds, or what they compute."""

    def __init__(self, device: torch.device, counting: bool = False) -> None:
        self.device, self.counting, self.cost = device, counting, Cost()
        self.last = 0.0  # what the part before took

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        if self.counting:
            with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
                yield
            self.last = float(counter.get_total_flops())
        else:
            self._wait()
            begun = time.perf_counter()
            yield
            self._wait()
            self.last = time.perf_counter() - begun
        self.cost.of[name] += self.last

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _attention_flops(queries: Any, keys: Any, values: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(queries, keys, values)


# torch counts its fused attention on GPUs alone
ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
