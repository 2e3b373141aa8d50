"""`evaluate`: clips in, `EvaluationResult` out."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from signgen import __version__
from signgen.errors import InputError
from signgen.evaluation.build import build_measures, check_glosses, fitting
from signgen.evaluation.measures import MeasureOptions
from signgen.evaluation.pairing import Plan, Rules, make_plan
from signgen.evaluation.scores import EvaluationResult
from signgen.evaluation.scoring import ClipSums
from signgen.evaluation.summary import Summary
from signgen.evaluation.workers import Task, score_all

_PACKAGES = ("numpy", "torch", "torchmetrics", "numba", "opencv-python-headless", "pillow", "av")
FEW_CLIPS = 10
FRAMES_A_PROCESS = 200  # what one scores while another one starts
Sink = Callable[[ClipSums], None]


@dataclass(frozen=True)
class Request:
    """What to compare.

    Attributes:
        generated, reference: videos, folders of frames, folders of clips, or data sets.
        keypoints: of the true frames; those of the reference's data set when not given.
        against: a second system's clips.
        split, limit: of data sets; only the first so many clips.
        rules: for clips that do not fit.
        measure: what to measure with.
        seed: of the bootstrap and of the permutation test.
        jobs: processes; None for one a core, or fewer where there are few frames (`processes`).
    """

    generated: str | Path
    reference: str | Path
    keypoints: str | Path | None = None
    against: str | Path | None = None
    split: str | None = None
    limit: int | None = None
    rules: Rules = Rules()
    measure: MeasureOptions = MeasureOptions()
    seed: int = 0
    jobs: int | None = 1

    def __post_init__(self) -> None:
        for name in ("jobs", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name}", f"got {value}", "give 1 or more")
        if self.seed < 0:
            raise InputError("--seed", f"got {self.seed}", "give 0 or more")


def evaluate(
    request: Request, progress: Callable[[int, int], None] = lambda done, total: None, sinks: Iterable[Sink] = ()
) -> EvaluationResult:
    """Scores generated clips against true ones, with constant memory.

    Args:
        progress: told frames done and frames in all, first when nothing is done.
        sinks: given each clip's sums and values per frame, in order; afterwards those are forgotten.

    Raises:
        InputError: clips are missing, damaged, or do not fit; weights are missing.
        RunError: a worker process died.
    """
    return run(request, plan_of(request), progress, sinks)


def plan_of(request: Request) -> Plan:
    """The request's pairs, matched and checked."""
    systems = [request.generated] if request.against is None else [request.generated, request.against]
    return make_plan(
        systems,
        request.reference,
        keypoints=request.keypoints,
        split=request.split,
        limit=request.limit,
        rules=request.rules,
    )


def run(
    request: Request, plan: Plan, progress: Callable[[int, int], None], sinks: Iterable[Sink] = ()
) -> EvaluationResult:
    """As `evaluate`, with the plan made before."""
    check_glosses(request.measure, plan.pairs)
    warn_of_few(plan)
    built = fitting(build_measures(request.measure, any(pair.keypoints for pair in plan.pairs)), plan.pairs)
    systems = 1 if request.against is None else 2
    tasks = [Task(pair, system) for system in range(systems) for pair in plan.pairs]
    total, done = sum(task.pair.frames for task in tasks), 0

    def advance(frames: int) -> None:
        nonlocal done
        done += frames
        progress(done, total)

    progress(0, total)  # the clock of rate and time left starts with the work, not with its first result
    summary = Summary(plan, built, request.seed, None if request.against is None else str(request.against))
    for sums in score_all(tasks, request.measure, built.measures, request.jobs or processes(total), advance):
        for sink in sinks:
            sink(sums)
        summary.add(sums)
    return summary.result(versions(), settings(request, plan))


def processes(frames: int) -> int:
    """How many are worth their start, of several seconds each."""
    return max(1, min(os.cpu_count() or 1, frames // FRAMES_A_PROCESS))


def warn_of_few(plan: Plan) -> None:
    """A percentile bootstrap over a handful of clips promises more than it can hold."""
    if 2 <= len(plan.pairs) < FEW_CLIPS:
        clips = len(plan.pairs)
        plan.warnings.append(f"only {clips} clips: intervals over fewer than {FEW_CLIPS} clips come out too narrow")


def settings(request: Request, plan: Plan) -> dict[str, Any]:
    """The request as plain values, without what changes no number."""
    plain = {**asdict(request), "split": plan.split}
    plain.pop("jobs")
    return {key: _plain(value) for key, value in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Versions of everything that has a say in the numbers."""
    found = {"signgen": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
