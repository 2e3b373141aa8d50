"""One training of a recogniser, and what it scores; each result is a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from augmentation_data import DRAWN, MARGIN, PARTS, Copies, Language, hand_speed, put_back
from stored import Stored, digest_of

from signgen.dataset.files import write_text
from signgen.scoring.recogniser import Recogniser, word_errors
from signgen.scoring.recogniser.network import LARGE, NetworkSize
from signgen.scoring.recogniser.recogniser import RATE
from signgen.scoring.recogniser.samples import Drawn, Sample, Samples
from signgen.scoring.recogniser.training import POINTS, Schedule, Training, in_turn
from signgen.video.tensors import to_unit

VERSION = 4  # of how a training goes: bump it whenever the same clips give another recogniser
SCORED_VERSION = 1  # of how it is scored: bump it whenever the same recogniser and clips give other scores
NUMBERS = torch.float32  # of the convolutions, whatever the machine: trainings of several ones are held together
SMALL = NetworkSize(LARGE.height, LARGE.width)
NETWORKS = {"small": SMALL, "correlation": LARGE}
# All arms have equally many steps: with more of them, the same clips alone are read much better (docs/figures.md).
STEPS, BATCH, WARMUP = 6000, 6, 60
CURRICULUM = 2 / 3  # share of its steps that show copies; the rest show true clips
CUT_OUT, CUT_SIZE = 0.5, (0.12, 0.3)  # share of clips of which a rectangle is hidden, its sides as shares of the frame
_ENDINGS = {"result": ".json", "reads": ".reads.json"}  # of the files of a run
_LEARNED = ".training.json"  # ending of the file beside a recogniser that says how it was trained
READ, AGAIN = 32, "again"  # signers of the copies that are read; the name of perfect ones that `mini` draws again
COPIES = {name: Copies(name, signers=READ, vary=False) for name in (DRAWN, "mini")}  # that are read
READS_VERSION = 1  # of how copies are read: bump it whenever the same recogniser and copies give other scores


@dataclass(frozen=True)
class Arm:
    """What a recogniser learns from.

    Attributes:
        name: in the table.
        copies: beside the true clips; None: nothing.
        changes: whether clips are changed at random each time: place, crop and mirror, light and colour, sharpness,
            pace, and a rectangle cut out.
        mix: all clips alike; so many true to copied clips in each batch; curriculum: copies first, then true clips;
            copies: no true clip at all.
        network: of `NETWORKS`.
        steps: of the training; all arms that are compared have as many.
        reads: whether it also reads copies of clips that it has not seen, perfect ones and `mini`'s.
    """

    name: str
    copies: Copies | None = None
    changes: bool = True
    mix: str = "all"
    network: str = "small"
    steps: int = STEPS
    reads: bool = False


class Mixed(Training):
    """A training on true clips and copies, mixed as an arm says. Its rate falls to 0, so its last weights are kept."""

    def __init__(self, arm: Arm, seed: int, true: Samples, copies: Samples, glosses: tuple[str, ...]) -> None:
        # Keypoints would teach a network to look past a signer's looks: what copies are for, and what other recognisers
        # of the field do not have.
        schedule = Schedule(arm.steps, BATCH, warmup=WARMUP, seed=seed, signs=0.0, points=0.0)
        super().__init__(Samples(true.items + copies.items), glosses, NETWORKS[arm.network], schedule)
        self.arm, self.true, self.dtype = arm, len(true), NUMBERS

    def picked(self) -> list[int]:
        """Numbers of the step's clips, as the arm mixes them; copies follow the true clips."""
        true, copies = range(self.true), range(self.true, len(self.samples))
        mix, seed = self.arm.mix, self.schedule.seed
        if ":" in mix:
            parts = [int(part) for part in mix.split(":")]
            share = BATCH * parts[0] // sum(parts)
            others = BATCH - share
            return [*in_turn(true, self.step * share, share, seed), *in_turn(copies, self.step * others, others, seed)]
        if mix == "curriculum" and self.step >= CURRICULUM * self.schedule.steps:
            shown = true
        else:
            shown = copies if mix in ("curriculum", "copies") else range(len(self.samples))
        return in_turn(shown, self.step * BATCH, BATCH, seed)

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


@dataclass(frozen=True)
class Run:
    """A training of an arm; the seed decides everything random."""

    arm: Arm
    seed: int
    language: Language
    stored: Stored

    def learned_key(self) -> dict[str, Any]:
        """Everything that the recogniser depends on; the arm's name and what it reads beside the test are no part."""
        arm = {name: value for name, value in asdict(self.arm).items() if name not in ("name", "reads", "copies")}
        size = asdict(NETWORKS[self.arm.network])
        data = self.language.identity(self.arm.copies)
        key = {"arm": arm, "seed": self.seed, "training": _training(), "size": size, "data": data}
        return json.loads(json.dumps(key))  # type: ignore[no-any-return]

    def key(self) -> dict[str, Any]:
        """Everything that the scores depend on."""
        return {
            "learned": self.learned_key(), "scored": self.language.identity_scored(), "version": SCORED_VERSION
        }  # fmt: skip

    @cached_property
    def learned_digest(self) -> str:
        """Of the recogniser's key."""
        return digest_of(self.learned_key())

    @cached_property
    def digest(self) -> str:
        """Of the scores' key."""
        return digest_of(self.key())

    def reads_key(self) -> dict[str, Any]:
        """Everything that the scores of `read_copies` depend on: not every recogniser has learned from such copies."""
        copies = {name: self.language.identity(one) for name, one in COPIES.items()}
        again, parts = self.language.identity_again("mini", READ), [*PARTS, MARGIN]
        return {
            "learned": self.learned_digest,
            "version": READS_VERSION,
            "copies": copies,
            AGAIN: again,
            "parts": parts,
        }

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
        """Trains, or goes on with a training that was stopped, and reads the dev and the test clips."""
        if (found := self.done()) is not None:
            return found
        about, language = self._learn(), self.language
        # What is scored is what is kept, so that it may be scored on other clips, too.
        recogniser = self._recogniser()
        dev = _scores(recogniser, language.dev(), language.signers("dev"))
        result = {
            **_scores(recogniser, language.test(), language.signers("test")), **about, "training": _training(),
            "dev": {name: dev[name] for name in ("errors", "words", "signers")}, "key": self.key(),
        }  # fmt: skip
        write_text(self.path(), json.dumps(result) + "\n")
        return result

    def _learn(self) -> dict[str, Any]:
        """The training, if there is no recogniser yet, and what is to be said of it."""
        told, checkpoint = self._learned(_LEARNED), self._learned(".pt")
        if told.is_file():
            return json.loads(told.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
        language, arm = self.language, self.arm
        nothing, made = Samples(()), arm.copies
        copies = nothing if made is None else language.learned(lambda fold: language.copies(fold, made))
        true = nothing if arm.mix == "copies" else language.learned(language.true)
        training = Mixed(arm, self.seed, true, copies, language.vocabulary)
        training.run(checkpoint, lambda words: None, save_seconds=30.0)
        network = training.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        Recogniser(network, language.vocabulary).save(self._learned(".model"))
        about = {
            "true": len(true),
            "copies": len(copies),
            "steps": training.step,
            "seconds": round(training.seconds, 1),
        }
        write_text(told, json.dumps(about) + "\n")
        checkpoint.unlink(missing_ok=True)
        return about

    def _learned(self, ending: str) -> Path:
        return self.path(ending, self.learned_digest)

    def _recogniser(self) -> Recogniser:
        return Recogniser.load(self._learned(".model"))

    def read_copies(self) -> dict[str, Any] | None:
        """What the kept recogniser reads in first copies of a fold that is not learned from: those of `COPIES`, which
        all have the same motions, and what lies between them.
        """
        path = self.path(_ENDINGS["reads"], self.reads_digest)
        if (kept := self.done("reads")) is not None:
            return kept
        if not self._learned(_LEARNED).is_file():  # it was trained elsewhere
            return None
        language = self.language
        clips, signers = copies_to_read(language), language.copied_by(language.folds, READ)
        both, recogniser = sorted(set.intersection(*map(set, clips.values()))), self._recogniser()
        found: dict[str, Any] = {
            name: _scores(recogniser, {clip: of_kind[clip] for clip in both}, signers)
            for name, of_kind in clips.items()
        }
        found["speed"] = [round(hand_speed(clips[DRAWN][clip]), 4) for clip in both]
        found["key"] = self.reads_key()
        write_text(path, json.dumps(found) + "\n")
        return found


def copies_to_read(language: Language) -> dict[str, dict[str, Sample]]:
    """First copies of a fold that is not learned from, of several kinds: by `COPIES`, and perfect ones that `mini`
    draws again, whole or all but a part.
    """
    fold = language.folds
    clips = {name: language.copies(fold, one) for name, one in COPIES.items()}
    clips[AGAIN] = language.again(fold, "mini", READ, clips[DRAWN])
    return clips | {f"{AGAIN} {part}": put_back(clips[AGAIN], clips[DRAWN], part) for part in PARTS}


def _training() -> list[Any]:
    """What all trainings have in common; those that differ in it are not held together."""
    return [VERSION, BATCH, WARMUP, CURRICULUM, CUT_OUT, list(CUT_SIZE), str(NUMBERS).removeprefix("torch.")]


def _scores(recogniser: Recogniser, clips: dict[str, Sample], signers: Mapping[str, str]) -> dict[str, Any]:
    """By clip: who signs, what was signed and what was read, and how many words are wrong."""
    heard = [recogniser.recognise(np.asarray(one.frames), RATE) for one in clips.values()]
    errors = [word_errors(one.glosses, words) for one, words in zip(clips.values(), heard, strict=True)]
    return {
        "signers": [signers[name] for name in clips],
        "signed": [" ".join(one.glosses) for one in clips.values()], "heard": [" ".join(words) for words in heard],
        "errors": [one.errors for one in errors], "words": [one.words for one in errors],
        **{name: sum(getattr(one, name) for one in errors) for name in ("substitutions", "deletions", "insertions")},
    }  # fmt: skip
