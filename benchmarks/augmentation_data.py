"""Clips to find out whether augmentation helps: a small language, few signers to learn from, others to be tested on.

    WORK/true        drawn clips of a few signers, train split      (signgen synthesize's own files)
    WORK/test        drawn clips of the held-out signers            (the same)
    WORK/augmented   the first, and their copies by other signers   (signgen augment)
    WORK/small-*     the frames of the second and third as the recogniser sees them

A stopped run goes on in each of them; a folder that was made from other settings is an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from signgen.augmentation.run import Task, augment
from signgen.augmentation.settings import Settings
from signgen.augmentation.signers import load_signers
from signgen.dataset.phoenix import PhoenixIndex
from signgen.scoring.recogniser.network import NetworkSize
from signgen.scoring.recogniser.recogniser import small_frames
from signgen.scoring.recogniser.samples import Sample, Samples, cache_dataset
from signgen.synthetic.dataset import Plan, settings_of, write_dataset
from signgen.synthetic.motion.score import FPS, Score, compose
from signgen.video import read_frames

Progress = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class SmallLanguage(Plan):
    """A plan whose sentences are made of a few glosses: each occurs often enough in few clips to be learned."""

    vocabulary: tuple[str, ...] = ()

    def score(self, index: int) -> Score:
        """The sentence of clip ``index``."""
        return _score(self, index)


@lru_cache(maxsize=4096)
def _score(plan: SmallLanguage, index: int) -> Score:
    """Sentences of the whole lexicon are drawn, two of their glosses chosen, until one keeps to the vocabulary."""
    rng = plan.streams(index)[0]
    while True:
        wanted = [plan.vocabulary[i] for i in rng.permutation(len(plan.vocabulary))[:2]]
        score = compose(rng, plan.split, plan.frames[0], wanted)
        if set(score.glosses) <= set(plan.vocabulary):
            return score


@dataclass(frozen=True)
class Clips:
    """What there is to learn from and to be tested on.

    Attributes:
        true: (name, sample) of each true training clip.
        copies: samples of the copies of each, by its name.
        test: (frames uint8 (T,h,w,3), glosses) of each test clip.
        identity: everything that decided them.
    """

    true: tuple[tuple[str, Sample], ...]
    copies: dict[str, tuple[Sample, ...]]
    test: tuple[tuple[np.ndarray, tuple[str, ...]], ...]
    identity: dict[str, Any]

    def chosen(self, share: int, seed: int, augmented: bool) -> Samples:
        """``share`` % of the true clips, the same for a seed with and without their copies; less is part of more."""
        order = np.random.default_rng([seed, 11]).permutation(len(self.true))
        names = [self.true[i] for i in order[: max(1, round(len(order) * share / 100))]]
        return Samples(tuple(
            sample for name, own in names for sample in (own, *(self.copies[name] if augmented else ()))
        ))  # fmt: skip


def make_clips(
    work: Path, train: SmallLanguage, test: SmallLanguage, counts: tuple[int, int], settings: Settings,
    size: NetworkSize, jobs: int, say: Callable[[str], None], progress: Progress,
) -> Clips:  # fmt: skip
    """Draws, augments and shrinks what is not there yet.

    Args:
        work: folder; train, test: plans; counts: clips of both.
        settings: of the augmentation; size: of the frames that the recogniser sees; jobs: processes.
    """
    load_signers(settings.signers)  # whoever cannot sign is told before clips are drawn
    for plan, folder, count in ((train, "true", counts[0]), (test, "test", counts[1])):
        with progress(count, f"{folder} clips") as advance:
            write_dataset(work / folder, plan, count, jobs, advance)
    made = augment(Task(work / "true", work / "augmented", settings, jobs=jobs), say, progress)
    cache = work / f"small-train-{counts[0]}x{settings.copies}"
    small = Samples.open([cache_dataset(work / "augmented", "train", cache, size)])
    names = [clip.name for clip in PhoenixIndex(work / "augmented").clips("train")]
    samples = dict(zip(names, small.items, strict=True))
    true = tuple((name, samples[name]) for name in names if "__aug" not in name)
    copies = {name: tuple(samples[n] for n in names if n.startswith(f"{name}__aug")) for name, _ in true}
    identity = {
        "train": settings_of(train), "test": settings_of(test), "clips": list(counts),
        "augmentation": _decided(work / "augmented"), "copies": settings.copies,
        "frames_of_recogniser": [size.width, size.height],
        "failed_gate": [made["failed_gate"], made["judged"]], "left_out": len(made["left_out"]),
    }  # fmt: skip
    return Clips(true, copies, _test_clips(work, counts[1], size), json.loads(json.dumps(identity)))


def _decided(out: Path) -> dict[str, Any]:
    decides: dict[str, Any] = json.loads((out / "augment.json").read_text(encoding="utf-8"))["decides"]
    return decides


def _test_clips(work: Path, count: int, size: NetworkSize) -> tuple[tuple[np.ndarray, tuple[str, ...]], ...]:
    """The test clips small, from a file that is made first where it is not there."""
    path, clips = work / f"small-test-{count}.npz", PhoenixIndex(work / "test").clips("test")
    if not path.is_file():
        partial = work / ".small-test.partial.npz"
        np.savez(partial, *(small_frames(read_frames(clip.folder), FPS, size.height, size.width) for clip in clips))
        os.replace(partial, path)
    with np.load(path, allow_pickle=False) as stored:
        frames: Sequence[np.ndarray] = [stored[f"arr_{number}"] for number in range(len(clips))]
    return tuple((one, tuple(clip.glosses)) for one, clip in zip(frames, clips, strict=True))
