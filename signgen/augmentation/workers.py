"""Clips made by processes of this machine, a few jobs ahead and no more."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TYPE_CHECKING, Any

from signgen.augmentation.clip import Maker, Recipe, threads_restored
from signgen.augmentation.jobs import Job
from signgen.errors import RunError, SignGenError

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

AHEAD = 2  # jobs that wait or run, for each worker
_KINDS = {kind.__name__: kind for kind in SignGenError.__subclasses__()}
_maker: Maker | None = None  # of a worker process


def make_here(recipe: Recipe, jobs: Sequence[Job], pipeline: SignGenPipeline | None = None) -> Iterator[dict[str, Any]]:
    """The records of the jobs, made one after the other in this process."""
    with threads_restored():
        maker = Maker(recipe, pipeline)
        for job in jobs:
            yield maker.make(job)


def make_in_processes(recipe: Recipe, jobs: Sequence[Job], count: int) -> Iterator[dict[str, Any]]:
    """The records of the jobs as they are finished by ``count`` processes, each with a model of its own."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, _begin, (recipe,))
    waiting, left = set[Future](), iter(jobs)
    try:
        while True:
            waiting |= {pool.submit(_make, job) for job in islice(left, AHEAD * count - len(waiting))}
            if not waiting:
                return
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield unpacked(future.result())
    except BrokenProcessPool:
        raise RunError("--jobs", "a worker process died, perhaps of lack of memory", "try fewer --jobs") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def packed(maker: Maker, job: Job) -> dict[str, Any]:
    """The record, or the error as plain data: exceptions of several parts do not survive between processes."""
    try:
        return maker.make(job)
    except SignGenError as error:
        return {"error": [type(error).__name__, error.subject, error.got, error.advice]}


def unpacked(answer: dict[str, Any]) -> dict[str, Any]:
    """The record; raises the error that `packed` sent instead."""
    if "error" in answer:
        kind, subject, got, advice = answer["error"]
        raise _KINDS.get(kind, RunError)(subject, got, advice)
    return answer


def _begin(recipe: Recipe) -> None:
    """Starts a worker, which ends with its parent, and however that ends."""
    global _maker
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(recipe.settings.threads))
    _maker = Maker(recipe)


def _make(job: Job) -> dict[str, Any]:
    assert _maker is not None, "the pool begins each worker with _begin"
    return packed(_maker, job)
