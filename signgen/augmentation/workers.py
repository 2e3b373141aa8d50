"""Clips made in this process, or by several of this machine, each with a model of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from signgen.augmentation.clip import Maker
from signgen.augmentation.jobs import Job
from signgen.augmentation.recipe import Recipe, threads_restored
from signgen.processes import in_processes

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

_makers: list[Maker] = []  # of a worker process: one


def make_here(recipe: Recipe, jobs: Sequence[Job], pipeline: SignGenPipeline | None = None) -> Iterator[dict[str, Any]]:
    """The records of the jobs, made one after the other in this process."""
    with threads_restored():
        maker = Maker(recipe, pipeline)
        for job in jobs:
            yield maker.make(job)


def make_in_processes(recipe: Recipe, jobs: Sequence[Job], count: int) -> Iterator[dict[str, Any]]:
    """The records of two or more jobs as they are finished by ``count`` processes."""
    threads = recipe.settings.threads
    return in_processes(_make, jobs, count, _begin, (recipe,), ordered=False, threads=threads)


def _begin(recipe: Recipe) -> None:
    _makers.append(Maker(recipe))


def _make(job: Job) -> dict[str, Any]:
    return _makers[0].make(job)
