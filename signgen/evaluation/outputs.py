"""An evaluation with its files: the frame table and the report, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from signgen.errors import InputError
from signgen.evaluation.frame_table import FrameTable
from signgen.evaluation.keypoint_files import KEYPOINT_SUFFIXES
from signgen.evaluation.pairing import Plan
from signgen.evaluation.run import Request, Sink, plan_of, run
from signgen.evaluation.scores import EvaluationResult
from signgen.evaluation.worst import WorstClips
from signgen.rendering.staging import Staging
from signgen.sources import VIDEO_SUFFIXES
from signgen.video.images import SUFFIXES

_INPUT_SUFFIXES = (*SUFFIXES, *VIDEO_SUFFIXES, *KEYPOINT_SUFFIXES)  # of files that nobody means to replace by scores


def evaluate_to_files(
    request: Request,
    csv_file: str | Path | None = None,
    report: str | Path | None = None,
    report_clips: int = 6,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluationResult:
    """As `signgen.evaluation.evaluate`, and writes files.

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
    from signgen.evaluation.report import write_report
    from signgen.evaluation.report_clips import report_clip

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
