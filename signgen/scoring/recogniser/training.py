"""Training of the recogniser.

CTC on the sentence is the goal. Three helps, of which nothing is kept, make a few minutes of one processor enough: a
second CTC loss on what the 1-d convolutions see (the visual enhancement of VAC), the sign at each instant where the
data set knows it, and the places of hands, arms and nose in each frame, read off the frame's features.

A step depends on (seed, step) alone, so that a resumed run ends where an uninterrupted one does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from signgen.errors import Mismatch
from signgen.files import whole
from signgen.keypoints.skeleton import (
    CONFIDENT,
    LEFT_ELBOW,
    LEFT_HAND,
    LEFT_WRIST,
    MIRROR,
    NOSE,
    RIGHT_ELBOW,
    RIGHT_HAND,
    RIGHT_WRIST,
)
from signgen.model.loading import choose_dtype
from signgen.scoring.recogniser.network import POOL, GlossNetwork, NetworkSize, instants
from signgen.scoring.recogniser.samples import Drawn, Sample, Samples, draw

_OF_HAND = (0, 4, 5, 8, 9, 12, 16, 17, 20)  # root, finger tips and three knuckles
POINTS = (
    NOSE, LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST,
    *(LEFT_HAND.start + i for i in _OF_HAND), *(RIGHT_HAND.start + i for i in _OF_HAND),
)  # fmt: skip
MIRRORED = tuple(int(MIRROR[point]) for point in POINTS)
_UNKNOWN = -100  # class of an instant that the loss leaves out


@dataclass(frozen=True)
class Schedule:
    """How to train.

    Attributes:
        steps: of the optimiser.
        batch: clips of a step.
        rate: highest learning rate; it rises over ``warmup`` steps and then falls to 0 along half a cosine.
        warmup: steps.
        weight_decay: of AdamW.
        local, signs, points: weights of the three helps, beside 1 of the goal.
        seed: of everything random.
    """

    steps: int = 3000
    batch: int = 8
    rate: float = 2e-3
    warmup: int = 150
    weight_decay: float = 0.02
    local: float = 0.3
    signs: float = 0.7
    points: float = 4.0
    seed: int = 0


class Helps(nn.Module):
    """The heads that only training uses."""

    def __init__(self, glosses: int, size: NetworkSize) -> None:
        super().__init__()
        self.gloss = nn.Linear(size.features, glosses + 1)
        self.points = nn.Linear(size.features, 2 * len(POINTS))


@dataclass
class _Batch:
    frames: Tensor  # (B T,3,h,w) in [0, 1], channels last; zeros behind the end of a clip
    lengths: Tensor  # (B,)
    points: Tensor  # (B,T,P,3), confidence 0 behind the end
    classes: Tensor  # (B,L): 0 between signs, else the gloss; _UNKNOWN behind the end and where nobody knows
    targets: Tensor  # all glosses in a row, 1 to G
    counts: Tensor  # (B,): how many of them belong to each clip


class Training:
    """A run: network, helps and optimiser, and the step they are at."""

    def __init__(self, samples: Samples, glosses: tuple[str, ...], size: NetworkSize, schedule: Schedule) -> None:
        torch.manual_seed(schedule.seed)
        self.samples, self.schedule = samples, schedule
        self.dtype = choose_dtype("auto", torch.device("cpu"))  # of the convolutions: twice as fast where it fits
        self.numbers = {gloss: number for number, gloss in enumerate(glosses, 1)}
        self.network = GlossNetwork(len(glosses), size).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.helps = Helps(len(glosses), size)
        parameters = [*self.network.parameters(), *self.helps.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, weight_decay=schedule.weight_decay)
        self.step, self.seconds = 0, 0.0

    def run(
        self, checkpoint: Path, log: Callable[[str], None], until: int | None = None, save_seconds: float = 60.0
    ) -> None:
        """Trains to the last step, or to step ``until``; begins at ``checkpoint`` if it is there, and saves there."""
        stop = min(self.schedule.steps, until or self.schedule.steps)
        self._resume(checkpoint)
        self.network.train()
        saved, shown, before = time.monotonic(), self.step, self.seconds
        begun = time.process_time()
        while self.step < stop:
            losses = self._update()
            self.step += 1
            self.seconds = before + time.process_time() - begun
            if self.step - shown >= 50 or self.step == stop:
                shown = self.step
                words = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
                log(f"step {self.step}/{self.schedule.steps}  {self.seconds:.0f} s of processor time  {words}")
            if time.monotonic() - saved > save_seconds:
                self._save(checkpoint)
                saved = time.monotonic()
        self._save(checkpoint)
        self.network.eval()

    def _update(self) -> dict[str, float]:
        torch.manual_seed(self.schedule.seed * 1_000_003 + self.step)  # of dropout
        batch = self._draw()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        losses = self._losses(batch)
        weights = {"ctc": 1.0, "local": self.schedule.local, "signs": self.schedule.signs}
        total = sum(weights.get(name, self.schedule.points) * value for name, value in losses.items())
        self.optimizer.zero_grad(set_to_none=True)
        assert isinstance(total, Tensor)
        total.backward()
        nn.utils.clip_grad_norm_([p for group in self.optimizer.param_groups for p in group["params"]], 2.0)
        self.optimizer.step()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _rate(self) -> float:
        rise = min(1.0, (self.step + 1) / max(self.schedule.warmup, 1))
        return self.schedule.rate * rise * 0.5 * (1 + float(np.cos(np.pi * self.step / self.schedule.steps)))

    def _draw(self) -> _Batch:
        rng, picked = np.random.default_rng([self.schedule.seed, self.step]), self.picked()
        drawn = [self.version(self.samples[i], rng) for i in picked]
        glosses = [[self.numbers[gloss] for gloss in self.samples[i].glosses] for i in picked]
        return _stack(drawn, glosses, self.dtype)

    def picked(self) -> list[int]:
        """Numbers of the step's clips: all come once before any comes again."""
        size = self.schedule.batch
        return in_turn(range(len(self.samples)), self.step * size, size, self.schedule.seed)

    def version(self, sample: Sample, rng: np.random.Generator) -> Drawn:
        """One random version of a clip."""
        return draw(sample, (POINTS, MIRRORED), rng)

    def _losses(self, batch: _Batch) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            features = self.network.encode_frames(batch.frames, batch.lengths)  # (B T,D)
        features = features.float().unflatten(0, (len(batch.lengths), -1))  # (B,T,D)
        local, lengths = self.network.local(features, batch.lengths)  # (B,L,D)
        guesses = self.helps.gloss(local)  # (B,L,1+G)
        losses = {
            "ctc": _ctc(self.network.logits(local, lengths), lengths, batch),
            "local": _ctc(guesses, lengths, batch),
        }
        if bool((batch.classes != _UNKNOWN).any()):
            losses["signs"] = F.cross_entropy(guesses.flatten(0, 1), batch.classes.flatten(), ignore_index=_UNKNOWN)
        places = self.helps.points(features).unflatten(-1, (len(POINTS), 2))  # (B,T,P,2)
        seen = batch.points[..., 2] >= CONFIDENT
        losses["points"] = (places - batch.points[..., :2]).abs()[seen].mean() if bool(seen.any()) else places.sum() * 0
        return losses

    # ---- resuming ----------------------------------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        return {**asdict(self.schedule), "clips": len(self.samples), "glosses": " ".join(self.numbers)}

    def _save(self, path: Path) -> None:
        state = {
            "run": self._identity(),
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "helps": self.helps.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary:
            torch.save(state, temporary)

    def _resume(self, path: Path) -> None:
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        if state["run"] != self._identity():
            changed = [key for key, value in self._identity().items() if state["run"].get(key) != value]
            raise Mismatch(path, f"is a run with other {', '.join(changed)}", "delete it or name another one")
        self.network.load_state_dict(state["network"])
        self.helps.load_state_dict(state["helps"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])


def in_turn(numbers: Sequence[int], first: int, count: int, seed: int) -> list[int]:
    """``count`` of the numbers from place ``first`` on, in an order that is drawn anew each time all have come."""
    orders = {turn: np.random.default_rng([seed, 7, turn]).permutation(len(numbers))
              for turn in range(first // len(numbers), (first + count - 1) // len(numbers) + 1)}  # fmt: skip
    places = (divmod(place, len(numbers)) for place in range(first, first + count))
    return [numbers[orders[turn][place]] for turn, place in places]


def _stack(drawn: list[Drawn], glosses: list[list[int]], dtype: torch.dtype) -> _Batch:
    """Clips of several lengths as one batch, filled up with zeros."""
    lengths = torch.tensor([len(one.frames) for one in drawn])
    longest = int(lengths.max())
    frames = torch.zeros(len(drawn) * longest, *drawn[0].frames.shape[1:], dtype=dtype)
    frames = frames.to(memory_format=torch.channels_last)
    for row, one in enumerate(drawn):
        frames[row * longest : row * longest + len(one.frames)] = one.frames
    classes = torch.full((len(drawn), int(instants(lengths).max())), _UNKNOWN)
    for row, (one, words) in enumerate(zip(drawn, glosses, strict=True)):
        if one.signs is not None:
            signs = one.signs[::POOL]  # the first frame of each instant
            classes[row, : len(signs)] = torch.tensor([0, *words])[signs + 1]
    return _Batch(
        frames,
        lengths,
        nn.utils.rnn.pad_sequence([one.points for one in drawn], batch_first=True),
        classes,
        torch.tensor([word for words in glosses for word in words]),
        torch.tensor([len(words) for words in glosses]),
    )


def _ctc(logits: Tensor, lengths: Tensor, batch: _Batch) -> Tensor:
    """CTC loss per gloss; sentences that do not fit into so few instants are left out."""
    log_probs = logits.log_softmax(-1).transpose(0, 1)  # (L,B,1+G)
    return F.ctc_loss(log_probs, batch.targets, lengths, batch.counts, blank=0, zero_infinity=True)
