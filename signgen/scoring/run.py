"""`evaluate`: clips in, `EvaluationResult` out."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from signgen import __version__
from signgen.errors import InputError
from signgen.files import Staging
from signgen.rendering.source import VIDEO_SUFFIXES
from signgen.scoring.build import build_measures, check_glosses, fitting
from signgen.scoring.clips import KEYPOINT_SUFFIXES
from signgen.scoring.measures import MeasureOptions
from signgen.scoring.pairing import Plan, Rules, make_plan
from signgen.scoring.scores import EvaluationResult
from signgen.scoring.scoring import ClipSums, Task, score_all
from signgen.scoring.summary import Summary
from signgen.scoring.worst import FrameTable, WorstClips
from signgen.video.images import SUFFIXES

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


# An evaluation with its files: the frame table and the report, whole or not at all.


_INPUT_SUFFIXES = (*SUFFIXES, *VIDEO_SUFFIXES, *KEYPOINT_SUFFIXES)  # of files that nobody means to replace by scores


def evaluate_to_files(
    request: Request,
    csv_file: str | Path | None = None,
    report: str | Path | None = None,
    report_clips: int = 6,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluationResult:
    """As `signgen.scoring.evaluate`, and writes files.

    Args:
        csv_file: values per frame.
        report: the page, showing the worst ``report_clips`` clips.

    Raises:
        InputError: as `evaluate`; an output that is a folder, lies in none, or is one of the inputs.
    """
    outputs = [Path(path) for path in (csv_file, report) if path is not None]
    _check_outputs(outputs, request)
    plan = plan_of(request)
    worst = WorstClips(report_clips if report is not None else 0)
    with Staging() as staging, ExitStack() as stack:
        places = {path: staging.place(path) for path in outputs}  # a folder that is missing is said before the work
        sinks: list[Sink] = [worst.add]
        if csv_file is not None:
            sinks.append(stack.enter_context(FrameTable(places[Path(csv_file)])).add)
        result = run(request, plan, progress, sinks)
        stack.close()  # the table's last lines are on disk before it is moved into place
        if report is not None:
            _write_report(places[Path(report)], result, plan, worst)
    return result


def _write_report(path: Path, result: EvaluationResult, plan: Plan, worst: WorstClips) -> None:
    from signgen.scoring.report import write_report
    from signgen.scoring.worst import report_clip

    pairs = {pair.name: pair for pair in plan.pairs}
    clips = [report_clip(pairs[clip.name], clip.per_frame) for clip in worst.clips()]
    choice = worst.choice if len(clips) < len(plan.pairs) else ""
    names = {side: str(result.settings[side]) for side in ("generated", "reference")}
    write_report(path, result, clips, choice=choice, **names)


def _check_outputs(outputs: list[Path], request: Request) -> None:
    measure = request.measure
    clips = (request.generated, request.reference, request.against, request.keypoints)
    weights = (measure.hand_weights, measure.lpips_weights, measure.fid_weights, measure.recogniser_folder)
    inputs = {Path(path).resolve() for path in (*clips, *weights) if path}
    for path in outputs:
        if path.is_dir():
            raise InputError(path, "is a folder", "give the name of a file")
        whole = path.resolve()
        if whole in inputs:
            raise InputError(path, "is one of the inputs", "write elsewhere")
        if path.exists() and path.suffix.lower() in _INPUT_SUFFIXES and not inputs.isdisjoint(whole.parents):
            raise InputError(path, "lies in one of the inputs, and would be replaced", "write elsewhere")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError(outputs[0], "is to be the table and the report", "give two names")
