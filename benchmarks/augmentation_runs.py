"""One training of the recogniser and what it scores; every finished one is kept in a file of its own."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from augmentation_data import Clips
from torch import nn

from signgen.dataset.files import write_text
from signgen.scoring.recogniser import Recogniser, word_errors
from signgen.scoring.recogniser.network import NetworkSize
from signgen.scoring.recogniser.recogniser import RATE
from signgen.scoring.recogniser.training import Schedule, Training

_clips: Clips | None = None  # of a worker process


@dataclass(frozen=True)
class Run:
    """A training.

    Attributes:
        share: per cent of the true clips that it sees; augmented: whether it sees their copies too.
        schedule: with its seed, which also decides which of the clips.
        size: of the network; glosses: of the small language.
    """

    share: int
    augmented: bool
    schedule: Schedule
    size: NetworkSize
    glosses: tuple[str, ...]

    def key(self, clips: Clips) -> dict[str, Any]:
        """Everything that the score depends on, as JSON gives it back."""
        key: dict[str, Any] = json.loads(json.dumps({**asdict(self), "data": clips.identity}))
        return key

    def path(self, work: Path, clips: Clips, ending: str) -> Path:
        """A file of this run alone."""
        digest = hashlib.sha256(json.dumps(self.key(clips), sort_keys=True).encode()).hexdigest()[:16]
        kind = "with" if self.augmented else "without"
        return work / "runs" / f"{self.share}-{kind}-{self.schedule.seed}-{digest}{ending}"

    def label(self) -> str:
        """For people."""
        kind = "with copies" if self.augmented else "true clips alone"
        return f"{self.share} %, {kind}, seed {self.schedule.seed}"


def score(run: Run, clips: Clips, work: Path) -> dict[str, Any]:
    """Trains, or goes on with a training that was stopped, and reads the test clips.

    Returns:
        Plain data: errors (C,), words (C,), substitutions, deletions, insertions, clips, steps, seconds (of processor
        time), key.
    """
    kept = run.path(work, clips, ".json")
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    samples = clips.chosen(run.share, run.schedule.seed, run.augmented)
    training = Training(samples, run.glosses, run.size, run.schedule)
    checkpoint = run.path(work, clips, ".pt")
    training.run(checkpoint, lambda line: None, save_seconds=30.0)
    errors = read_test(training.network, run.glosses, clips)
    result = {
        "errors": [one.errors for one in errors], "words": [one.words for one in errors],
        **{name: sum(getattr(one, name) for one in errors) for name in ("substitutions", "deletions", "insertions")},
        "clips": len(samples), "steps": training.step, "seconds": round(training.seconds, 1), "key": run.key(clips),
    }  # fmt: skip
    write_text(kept, json.dumps(result) + "\n")
    checkpoint.unlink(missing_ok=True)
    return result


def read_test(network: nn.Module, glosses: Sequence[str], clips: Clips) -> list[Any]:
    """Word errors of each test clip."""
    recogniser = Recogniser(network.to(memory_format=torch.contiguous_format), glosses)  # type: ignore
    return [word_errors(signed, recogniser.recognise(np.asarray(frames), RATE)) for frames, signed in clips.test]


def score_all(
    runs: Sequence[Run], clips: Clips, work: Path, jobs: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The results of the runs, in their order; the missing ones are made by ``jobs`` processes of one thread."""
    missing = [run for run in runs if not run.path(work, clips, ".json").is_file()]
    say(f"{len(runs) - len(missing)} of {len(runs)} trainings are there, {len(missing)} to do")
    for run in _made(missing, clips, work, jobs):
        found = score(run, clips, work)
        wer = sum(found["errors"]) / sum(found["words"])
        say(f"{run.label()}: {found['clips']} clips, WER {wer:.3f}, {found['seconds']:.0f} s")
    return [score(run, clips, work) for run in runs]


def _made(runs: Sequence[Run], clips: Clips, work: Path, jobs: int) -> Iterator[Run]:
    """The runs as they are finished."""
    if jobs == 1 or len(runs) < 2:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums of several threads differ in their last bits
        for run in runs:
            score(run, clips, work)
            yield run
        torch.set_num_threads(threads)
        return
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(runs)), context, _begin, (clips,)) as pool:
        futures = {pool.submit(_score, run, work): run for run in runs}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin(clips: Clips) -> None:
    """Starts a worker, which ends with its parent, however that ends."""
    global _clips
    import multiprocessing

    parent = multiprocessing.parent_process()
    assert parent is not None, "begun by a pool"
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    torch.set_num_threads(1)
    _clips = clips


def _score(run: Run, work: Path) -> None:
    assert _clips is not None, "the pool begins each worker with _begin"
    score(run, _clips, work)
