"""One training of a recogniser, until its dev clips are read no better, and what it scores; each result is a file."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from augmentation_data import DRAWN, MARGIN, PARTS, Copies, Language, hand_speed, put_back
from stored import Stored, digest_of
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from signgen.dataset.files import write_text
from signgen.files import whole
from signgen.scoring.recogniser import Recogniser, WordErrors, word_errors
from signgen.scoring.recogniser.network import LARGE, NetworkSize
from signgen.scoring.recogniser.recogniser import RATE, best_path
from signgen.scoring.recogniser.samples import Drawn, Sample, Samples
from signgen.scoring.recogniser.training import POINTS, Schedule, Training, in_turn
from signgen.video.tensors import to_unit

VERSION = 2  # of how a training goes: bump it whenever the same clips give other scores
SMALL = NetworkSize(LARGE.height, LARGE.width)
NETWORKS = {"small": SMALL, "correlation": LARGE}
BATCH, WARMUP = 6, 60
CHECK = 25  # steps between looks at the dev clips
PATIENCE, FEWEST = 8, 30  # passes over its clips: without a gain until the rate falls, and before that is asked at all
MEMORY = 0.98  # of the moving average of the weights, which reads the clips: what one step did hardly counts
RATES = (1.0, 0.3)  # of the schedule's: the next begins, at the best weights, when patience is at an end
MOST = 9000  # steps: no training has come near it
CUT_OUT, CUT_SIZE = 0.5, (0.12, 0.3)  # share of clips of which a rectangle is hidden, its sides as shares of the frame
_ENDINGS = {"result": ".json", "reads": ".reads.json"}  # of the files of a run
READ, AGAIN = 32, "again"  # signers of the copies that are read; the name of perfect ones that `mini` draws again
COPIES = {name: Copies(name, signers=READ, vary=False) for name in (DRAWN, "mini")}  # that are read
READS_VERSION = 1  # of how copies are read: bump it whenever the same recogniser and copies give other scores
MIXES = ("all", "1:1", "1:2", "curriculum", "copies")


@dataclass(frozen=True)
class Arm:
    """What a recogniser learns from.

    Attributes:
        name: in the table.
        copies: beside the true clips; None: nothing.
        changes: whether clips are changed at random each time: place, crop and mirror, light and colour, sharpness,
            pace, and a rectangle cut out.
        mix: all clips alike; so many true to copied clips in each batch; curriculum: copies until patience is at an
            end, then true clips; copies: no true clip at all.
        network: of `NETWORKS`.
        patience_of: how many clips patience is reckoned for; 0: those that it learns from. With the number of an arm
            with copies, an arm without them gets as many steps.
        reads: whether it also reads copies of clips that it has not seen, perfect ones and `mini`'s. It is kept for it.
    """

    name: str
    copies: Copies | None = None
    changes: bool = True
    mix: str = "all"
    network: str = "small"
    patience_of: int = 0
    reads: bool = False


class Converging(Training):
    """A training whose rate falls when the dev clips are read no better, and which ends when that no longer helps.

    Better is a lower dev loss than ever or fewer word errors than ever; kept are the weights of the fewest errors, of
    those the ones of the lowest loss. So the loss of a recogniser that is too sure of itself ends no training.
    """

    def __init__(
        self, arm: Arm, seed: int, true: Samples, copies: Samples, dev: Samples, glosses: tuple[str, ...]
    ) -> None:
        # Keypoints would teach a network to look past a signer's looks: what copies are for, and what other recognisers
        # of the field do not have.
        schedule = Schedule(MOST, BATCH, warmup=WARMUP, seed=seed, signs=0.0, points=0.0)
        super().__init__(Samples(true.items + copies.items), glosses, NETWORKS[arm.network], schedule)
        self.arm, self.dev, self.true = arm, dev, len(true)
        self.state: dict[str, Any] = {"stage": 0, "stale": 0, "loss": float("inf"), "key": [float("inf")] * 2}
        self.curve: list[list[float]] = []  # step, dev loss, dev word error rate
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(MEMORY), use_buffers=True)
        self.best = self._copy()

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.average.module.state_dict().items()}

    def _shown(self) -> range:
        """Numbers of the clips that the stage shows; copies follow the true clips."""
        mix, copies = self.arm.mix, range(self.true, len(self.samples))
        if mix == "curriculum" and self.state["stage"] > 0:
            return range(self.true)
        return copies if mix in ("curriculum", "copies") else range(len(self.samples))

    def _steps(self, passes: int) -> int:
        """In how many steps these clips come so often: more clips have more steps, or they would not be learned."""
        return -(-passes * (self.arm.patience_of or len(self._shown())) // BATCH)

    def _rate(self) -> float:
        return self.schedule.rate * RATES[self.state["stage"]] * min(1.0, (self.step + 1) / WARMUP)

    def picked(self) -> list[int]:
        """Numbers of the step's clips, as the arm mixes them."""
        true, copies = range(self.true), range(self.true, len(self.samples))
        if ":" not in self.arm.mix:
            return in_turn(self._shown(), self.step * BATCH, BATCH, self.schedule.seed)
        parts = [int(part) for part in self.arm.mix.split(":")]
        share = BATCH * parts[0] // sum(parts)
        return [
            *in_turn(true, self.step * share, share, self.schedule.seed),
            *in_turn(copies, self.step * (BATCH - share), BATCH - share, self.schedule.seed),
        ]

    def version(self, sample: Sample, rng: np.random.Generator) -> Drawn:
        """A clip as the arm shows it."""
        if not self.arm.changes:
            points = torch.from_numpy(sample.keypoints[:, POINTS].copy())
            return Drawn(to_unit(sample.frames), torch.cat([points[..., :2] * 2 - 1, points[..., 2:]], -1), None)
        drawn = super().version(sample, rng)
        if rng.random() < CUT_OUT:
            height, width = drawn.frames.shape[2:]
            sides = rng.uniform(*CUT_SIZE, 2) * (height, width)
            top, left = (rng.random(2) * ((height, width) - sides)).astype(int)
            drawn.frames[:, :, top : top + int(sides[0]), left : left + int(sides[1])] = 0.5
        return drawn

    def converge(self, checkpoint: Path, save_seconds: float = 30.0) -> None:
        """Trains to the end from where ``checkpoint`` is; the network then has the best weights."""
        self._begin(checkpoint)
        saved, before, begun = time.monotonic(), self.seconds, time.process_time()
        while self.step < MOST and self.state["stage"] < len(RATES):
            self.network.train()
            self._update()
            self.average.update_parameters(self.network)
            self.step += 1
            self.seconds = before + time.process_time() - begun
            if self.step % CHECK == 0:
                self._look()
                if time.monotonic() - saved > save_seconds:
                    self._save_all(checkpoint)
                    saved = time.monotonic()
        self.network.load_state_dict(self.best)
        self.network.eval()

    def _look(self) -> None:
        """Reads the dev clips, and decides how it goes on."""
        loss, errors = read(self.average.module, self.dev, self.numbers)
        rate = sum(one.errors for one in errors) / sum(one.words for one in errors)
        self.curve.append([self.step, round(loss, 4), round(rate, 4)])
        state, key = self.state, [rate, loss]
        if loss < state["loss"] or rate < state["key"][0]:
            state["stale"] = 0
        elif self.step > self._steps(FEWEST):
            state["stale"] += CHECK
        state["loss"] = min(loss, state["loss"])
        if key < state["key"]:
            state["key"], self.best = key, self._copy()
        if state["stale"] >= self._steps(PATIENCE):
            state["stage"], state["stale"] = state["stage"] + 1, 0
            self.network.load_state_dict(self.best)
            self.average.module.load_state_dict(self.best)

    def _save_all(self, path: Path) -> None:
        self._save(path)
        kept = {"state": self.state, "curve": self.curve, "best": self.best, "average": self.average.state_dict()}
        with whole(path.with_suffix(".best")) as temporary:
            torch.save({"step": self.step, **kept}, temporary)

    def _begin(self, path: Path) -> None:
        """Where the last save was; the two files are of the same step, or the training begins anew."""
        beside = path.with_suffix(".best")
        if not (path.is_file() and beside.is_file()):
            return
        kept = torch.load(beside, weights_only=True)
        if torch.load(path, weights_only=True)["step"] == kept["step"]:
            self._resume(path)
            self.state, self.curve, self.best = kept["state"], kept["curve"], kept["best"]
            self.average.load_state_dict(kept["average"])


def read(network: Any, samples: Samples, numbers: dict[str, int]) -> tuple[float, list[WordErrors]]:
    """CTC loss per gloss over unchanged clips, and the errors of the best path of each."""
    network.eval()
    words, total, errors = list(numbers), 0.0, []
    with torch.inference_mode():
        for sample in samples.items:
            lengths = torch.tensor([len(sample.frames)])
            logits, counts = network(to_unit(sample.frames)[None], lengths)
            scores, signed = logits.log_softmax(-1), torch.tensor([[numbers[gloss] for gloss in sample.glosses]])
            loss = torch.nn.functional.ctc_loss(scores.transpose(0, 1), signed, counts, torch.tensor([signed.shape[1]]))
            total += float(loss)
            heard = [words[label - 1] for label in best_path(scores[0].numpy())]
            errors.append(word_errors(sample.glosses, heard))
    return total / len(samples), errors


@dataclass(frozen=True)
class Run:
    """A training of an arm; the seed decides everything random and, in turn, which fold is learned from."""

    arm: Arm
    seed: int
    language: Language
    stored: Stored

    @property
    def fold(self) -> int:
        """Of the true clips."""
        return self.seed % self.language.folds

    def key(self) -> dict[str, Any]:
        """Everything that the score depends on; the arm's name and what it reads beside the test are no part of it."""
        arm = {name: value for name, value in asdict(self.arm).items() if name not in ("name", "reads", "copies")}
        if not self.arm.patience_of:  # results from before it was there hold
            del arm["patience_of"]
        of_training = [VERSION, BATCH, WARMUP, CHECK, PATIENCE, FEWEST, MEMORY, RATES, MOST, CUT_OUT, CUT_SIZE]
        size = asdict(NETWORKS[self.arm.network])
        data = self.language.identity(self.arm.copies)
        key = {"arm": arm, "seed": self.seed, "training": of_training, "size": size, "data": data}
        return json.loads(json.dumps(key))  # type: ignore[no-any-return]

    @cached_property
    def digest(self) -> str:
        """Of the key."""
        return digest_of(self.key())

    def reads_key(self) -> dict[str, Any]:
        """Everything that the scores of `read_copies` depend on: not every recogniser has learned from such copies."""
        copies = {name: self.language.identity(one) for name, one in COPIES.items()}
        again, parts = self.language.identity_again("mini", READ), [*PARTS, MARGIN]
        return {"run": self.digest, "version": READS_VERSION, "copies": copies, AGAIN: again, "parts": parts}

    @cached_property
    def reads_digest(self) -> str:
        """Of that key."""
        return digest_of(self.reads_key())

    def _digest(self, kind: str) -> str:
        return self.reads_digest if kind == "reads" else self.digest

    def path(self, ending: str = ".json", digest: str | None = None) -> Path:
        """A file of this run alone; of the run's own digest unless another is given."""
        name = self.arm.name.replace(" ", "-").replace(":", "-").replace(",", "")
        return self.language.work / "results" / f"{name}-{self.seed}-{digest or self.digest}{ending}"

    def done(self, kind: str = "result") -> dict[str, Any] | None:
        """The result, or what was read of copies (``reads``), where it is there."""
        path = self.path(_ENDINGS[kind], self._digest(kind))
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
        return self.stored.get(self._digest(kind), kind)  # type: ignore[no-any-return]

    def store(self) -> None:
        """Adds what is there to the stored results."""
        about = {"arm": self.arm.name, "seed": self.seed}
        for kind in _ENDINGS:
            if (found := self.done(kind)) is not None:
                self.stored.add(self._digest(kind), kind, {**about, **found})

    def make(self) -> dict[str, Any]:
        """Trains, or goes on with a training that was stopped, and reads the test clips."""
        if (found := self.done()) is not None:
            return found
        language, arm = self.language, self.arm
        copies = {} if arm.copies is None else language.copies(self.fold, arm.copies)
        true = {} if arm.mix == "copies" else language.true(self.fold)
        parts = [Samples(tuple(clips.values())) for clips in (true, copies, language.dev())]
        training = Converging(arm, self.seed, *parts, language.vocabulary)
        checkpoint = self.path(".pt")
        training.converge(checkpoint)
        recogniser = Recogniser(training.network.to(memory_format=torch.contiguous_format), language.vocabulary)  # type: ignore
        if arm.reads:
            recogniser.save(self.path(".model"))
        result = {
            **_scores(recogniser, language.test()), "true": len(true), "copies": len(copies), "steps": training.step,
            "best": training.state["key"], "curve": training.curve, "seconds": round(training.seconds, 1),
            "key": self.key(),
        }  # fmt: skip
        write_text(self.path(), json.dumps(result) + "\n")
        for path in (checkpoint, checkpoint.with_suffix(".best")):
            path.unlink(missing_ok=True)
        return result

    def read_copies(self) -> dict[str, Any] | None:
        """What the kept recogniser reads in first copies of the next fold's clips: those of `COPIES`, which all have
        the same motions, and what lies between them.
        """
        path = self.path(_ENDINGS["reads"], self.reads_digest)
        if (kept := self.done("reads")) is not None:
            return kept
        if not self.path(".model").exists():  # its result was stored elsewhere
            return None
        language = self.language
        if language.folds < 2:  # it would read clips that it has learned from
            return None
        clips = copies_to_read(language, (self.seed + 1) % language.folds)
        both, recogniser = sorted(set.intersection(*map(set, clips.values()))), Recogniser.load(self.path(".model"))
        found: dict[str, Any] = {
            name: _scores(recogniser, {clip: of_kind[clip] for clip in both}) for name, of_kind in clips.items()
        }
        found["speed"] = [round(hand_speed(clips[DRAWN][clip]), 4) for clip in both]
        found["key"] = self.reads_key()
        write_text(path, json.dumps(found) + "\n")
        return found


def copies_to_read(language: Language, fold: int) -> dict[str, dict[str, Sample]]:
    """First copies of a fold's clips, of several kinds: by `COPIES`, and perfect ones that `mini` draws again, whole or
    all but a part.
    """
    clips = {name: language.copies(fold, one) for name, one in COPIES.items()}
    clips[AGAIN] = language.again(fold, "mini", READ, clips[DRAWN])
    return clips | {f"{AGAIN} {part}": put_back(clips[AGAIN], clips[DRAWN], part) for part in PARTS}


def _scores(recogniser: Recogniser, clips: dict[str, Sample]) -> dict[str, Any]:
    """What was signed and what was read of each clip, and how many words are wrong."""
    heard = [recogniser.recognise(np.asarray(one.frames), RATE) for one in clips.values()]
    errors = [word_errors(one.glosses, words) for one, words in zip(clips.values(), heard, strict=True)]
    return {
        "signed": [" ".join(one.glosses) for one in clips.values()], "heard": [" ".join(words) for words in heard],
        "errors": [one.errors for one in errors], "words": [one.words for one in errors],
        **{name: sum(getattr(one, name) for one in errors) for name in ("substitutions", "deletions", "insertions")},
    }  # fmt: skip
