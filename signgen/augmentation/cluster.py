"""Clips made by the actors of a Ray cluster: one per GPU, or per CPU slot, each with a model of its own.

Scheduling, retries and what is sent between machines are Ray's. An actor of a node that dies is started again where
there is room, and Ray gives it its unfinished jobs again; actors that have nothing left to do end, which makes that
room. All nodes must see the output folder and the data set under the same paths.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from signgen.augmentation.clip import Maker
from signgen.augmentation.jobs import Job
from signgen.augmentation.recipe import Recipe
from signgen.errors import NotFound, RunError, SignGenError, Unsupported, missing_extra

AHEAD = 2  # jobs that wait or run, for each actor


class Worker:
    """What an actor does.

    Args:
        recipe: what to make, from Ray's object store.
    """

    def __init__(self, recipe: Recipe) -> None:
        if not recipe.store.out.is_dir():
            host = socket.gethostname()
            raise RuntimeError(f"{recipe.store.out} cannot be seen on {host}: all nodes need the same output folder")
        self._maker = Maker(recipe)

    def make(self, job: Job) -> dict[str, Any] | SignGenError:
        """The record, or the error; raised, it would come back as one of Ray's."""
        try:
            return self._maker.make(job)
        except SignGenError as error:
            return error


def import_ray() -> Any:
    """Ray's module; InputError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise missing_extra("ray", "ray") from None
    return ray


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray's module while connected to ``address``, or to a cluster of this machine alone for ``local``.

    Raises:
        InputError: Ray is not installed, or nobody answers at the address.
    """
    ray = import_ray()
    ours = not ray.is_initialized()
    if ours:
        try:  # "local" is Ray's own word, too: without an address it would join whatever cluster runs here
            ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            got = " ".join(str(error).split())[:160]
            raise NotFound("--ray", f"{address} does not answer ({got})", "give a cluster's HOST:PORT") from None
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def make_on_cluster(recipe: Recipe, jobs: Sequence[Job], address: str) -> Iterator[dict[str, Any]]:
    """The records of the jobs as they are finished by a cluster.

    Raises:
        RunError: the actors cannot work, on any node.
    """
    with connected(address) as ray:
        slots, needs = _slots(ray, recipe)
        shared = ray.put(recipe)  # once, however many actors there are
        kind = ray.remote(max_restarts=-1, max_task_retries=-1, **needs)(Worker)
        left = iter(jobs)
        actors = [kind.remote(shared) for _ in range(min(slots, len(jobs)))]
        at_work = {actor.make.remote(job): number for number, actor in enumerate(actors)
                   for job in islice(left, AHEAD)}  # fmt: skip
        try:
            while at_work:
                finished, _ = ray.wait(list(at_work))  # waits with AHEAD jobs an actor: that is the back-pressure
                number = at_work.pop(finished[0])
                record = ray.get(finished[0])
                if isinstance(record, SignGenError):
                    raise record
                yield record
                for job in islice(left, 1):
                    at_work[actors[number].make.remote(job)] = number
                if number not in at_work.values():
                    actors[number] = None  # its slot is free for an actor of a lost node
        except ray.exceptions.RayError as error:
            got = " ".join(str(getattr(error, "cause", None) or error).split())[-300:]
            advice = "see to the nodes and give the same command again: what is finished is kept"
            raise RunError("--ray", f"the actors cannot work ({got})", advice) from None


def _slots(ray: Any, recipe: Recipe) -> tuple[int, dict[str, Any]]:
    """How many actors the cluster has room for, and what each needs: a GPU where there are some, else CPU slots."""
    resources = ray.cluster_resources()
    if recipe.computes["device"] == "cuda":
        return max(int(resources.get("GPU", 0)), 1), {"num_gpus": 1, "num_cpus": 1}
    threads = recipe.settings.threads
    slots = int(resources.get("CPU", 0)) // threads
    if not slots:
        got = f"the cluster has {resources.get('CPU', 0):g} CPU slots, a worker takes {threads}"
        raise Unsupported("--ray", got, "add nodes or give fewer --threads")
    return slots, {"num_cpus": threads}
