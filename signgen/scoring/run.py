"""An evaluation from its request: clips in, `EvaluationResult` out, and the files beside it."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.errors import BadValue, Mismatch, NotWritable
from signgen.files import Staging, check_target, writing
from signgen.package import versions
from signgen.processes import cores
from signgen.scoring.clips import KEYPOINT_SUFFIXES
from signgen.scoring.measures import ClipSums, Task, build_metrics, score_all
from signgen.scoring.metrics.metric import MeasureOptions
from signgen.scoring.metrics.registry import METRICS
from signgen.scoring.pairing import Plan, Rules, make_plan
from signgen.scoring.report.pictures import Limits
from signgen.scoring.summary import EvaluationResult, Summary, plain
from signgen.video.images import SUFFIXES
from signgen.video.reading import VIDEO_SUFFIXES

if TYPE_CHECKING:  # the report's code, rendering with it, is only loaded for a report
    from signgen.scoring.report.clips import WorstClips

_PACKAGES = ("numpy", "torch", "torchmetrics", "numba", "scikit-image", "opencv-python-headless", "pillow", "av")
FEW_CLIPS = 10
FRAMES_A_PROCESS = 200  # what one scores while another one starts
SYSTEMS = ("generated", "against")
PER_FRAME = tuple(name for name, score in METRICS.items() if score.per_frame)
_ADVICE = "check free space and permissions"
_INPUT_SUFFIXES = (*SUFFIXES, *VIDEO_SUFFIXES, *KEYPOINT_SUFFIXES)  # of files that nobody means to replace by scores


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
                raise BadValue(f"--{name}", f"got {value}", "give 1 or more")
        if self.seed < 0:
            raise BadValue("--seed", f"got {self.seed}", "give 0 or more")


def evaluate_request(
    request: Request,
    progress: Callable[[int, int], None] = lambda done, total: None,
    csv_file: str | Path | None = None,
    report: str | Path | None = None,
    report_clips: int = 6,
) -> EvaluationResult:
    """Scores generated clips against true ones, with constant memory.

    Args:
        progress: gets the frames done and the frames in all, first when nothing is done.
        csv_file: a table of values per frame, written together with the report, or neither is.
        report: a page that shows the worst ``report_clips`` clips.

    Raises:
        InputError: clips are missing, damaged, or do not fit; weights are missing; an output is a folder, lies in
            none, or is one of the inputs.
        RunError: a worker process died, or the disk is full.
    """
    outputs = [Path(path) for path in (csv_file, report) if path is not None]
    _check_outputs(outputs, request)
    systems = [request.generated] if request.against is None else [request.generated, request.against]
    plan = make_plan(
        systems,
        request.reference,
        keypoints=request.keypoints,
        split=request.split,
        limit=request.limit,
        rules=request.rules,
    )
    _warn_of_few(plan)
    with Staging() as staging:
        places = {path: staging.place(path) for path in outputs}
        worst = None if report is None else _worst_clips(report_clips)
        table = None if csv_file is None else FrameTable(places[Path(csv_file)], Path(csv_file))
        result = _score(request, plan, progress, table, worst)
        if report is not None and worst is not None:
            page = _report_page(result, plan, worst)
            with writing(Path(report), _ADVICE):
                places[Path(report)].write_bytes(page)
    return result


def _score(
    request: Request,
    plan: Plan,
    progress: Callable[[int, int], None],
    table: FrameTable | None,
    worst: WorstClips | None,
) -> EvaluationResult:
    built = build_metrics(request.measure, plan.pairs)
    tasks = [Task(pair, 0, None if worst is None else Limits()) for pair in plan.pairs]
    if request.against is not None:
        tasks += [Task(pair, 1) for pair in plan.pairs]
    total, done = sum(task.pair.frames for task in tasks), 0

    def advance(frames: int) -> None:
        nonlocal done
        done += frames
        progress(done, total)

    progress(0, total)  # the clock of rate and time left starts with the work, not with its first result
    summary = Summary(plan, built, request.seed, None if request.against is None else str(request.against))
    for sums in score_all(tasks, request.measure, built.metrics, request.jobs or processes(total), advance):
        if table is not None:
            table.add(sums)
        if worst is not None:
            worst.add(sums)
        summary.add(sums)
    settings = plain({**asdict(request), "split": plan.split})
    del settings["jobs"]  # it changes no number
    return summary.result(versions(_PACKAGES), settings)


def _worst_clips(count: int) -> WorstClips:
    from signgen.scoring.report.clips import WorstClips

    return WorstClips(count)


def _report_page(result: EvaluationResult, plan: Plan, worst: WorstClips) -> bytes:
    from signgen.scoring.report.clips import report_clip
    from signgen.scoring.report.page import report_page

    pairs = {pair.name: pair for pair in plan.pairs}
    clips = [report_clip(pairs[clip.name], clip, Limits()) for clip in worst.clips()]
    generated, reference = (str(result.settings[side]) for side in ("generated", "reference"))
    return report_page(result, clips, generated=generated, reference=reference, choice=worst.choice)


def processes(frames: int) -> int:
    """How many are worth their start, of several seconds each."""
    return max(1, min(cores(), frames // FRAMES_A_PROCESS))


def _warn_of_few(plan: Plan) -> None:
    """A percentile bootstrap over a handful of clips promises more than it can hold."""
    if 2 <= len(plan.pairs) < FEW_CLIPS:
        clips = len(plan.pairs)
        plan.warnings.append(f"only {clips} clips: intervals over fewer than {FEW_CLIPS} clips come out too narrow")


class FrameTable:
    """Writes a CSV file clip by clip; an empty field is a value that is not defined.

    Columns: system (``generated`` or ``against``), clip, frame (from 0), hands (that count in hand SSIM), and the
    metrics, in full precision.

    Args:
        place: where to write it.
        path: its name in errors.

    Raises:
        RunError: from here and from `add`: the disk is full or refuses.
    """

    def __init__(self, place: Path, path: Path) -> None:
        self.place, self.path = place, path
        self._write([["system", "clip", "frame", "hands", *PER_FRAME]])

    def add(self, sums: ClipSums) -> None:
        """The lines of one clip."""
        self._write(self._lines(sums))

    def _lines(self, sums: ClipSums) -> Iterator[list[object]]:
        hands = sums.per_frame.get("hands")
        columns = [sums.per_frame.get(name) for name in PER_FRAME]
        for frame in range(sums.frames):
            values = ["" if c is None or math.isnan(c[frame]) else repr(float(c[frame])) for c in columns]
            count = "" if hands is None else int(hands[frame])
            yield [SYSTEMS[sums.system], _as_text(sums.name), frame, count, *values]

    def _write(self, lines: Iterable[list[object]]) -> None:
        # surrogateescape: a clip's name that is no Unicode is written as its bytes are
        with (
            writing(self.path, _ADVICE),
            self.place.open("a", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(lines)


def _as_text(name: str) -> str:
    """A name that a spreadsheet would take for a formula gets an apostrophe, which says that it is text."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _check_outputs(outputs: list[Path], request: Request) -> None:
    measure = request.measure
    clips = (request.generated, request.reference, request.against, request.keypoints)
    weights = (measure.hand_weights, measure.lpips_weights, measure.stlpips_weights, measure.fid_weights)
    inputs = {Path(path).resolve() for path in (*clips, *weights, measure.recogniser_folder) if path}
    for path in outputs:
        check_target(path, "file")
        whole = path.resolve()
        if whole in inputs:
            raise NotWritable(path, "is one of the inputs", "write elsewhere")
        if path.exists() and path.suffix.lower() in _INPUT_SUFFIXES and not inputs.isdisjoint(whole.parents):
            raise NotWritable(path, "lies in one of the inputs, and would be replaced", "write elsewhere")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise Mismatch(outputs[0], "is to be the table and the report", "give two names")
