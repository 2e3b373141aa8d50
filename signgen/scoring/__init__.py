"""Scores of generated video against true video: pairs of clips in, `EvaluationResult` out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.package import on_first_use

if TYPE_CHECKING:
    from signgen.scoring.metrics.metric import MeasureOptions
    from signgen.scoring.pairing import Rules
    from signgen.scoring.run import Request
    from signgen.scoring.summary import EvaluationResult

# Imported on first use, for `signgen --help` answers at once.
_PUBLIC = {"EvaluationResult": ".summary", "MeasureOptions": ".metrics.metric", "Request": ".run", "Rules": ".pairing"}
__all__ = ["EvaluationResult", "MeasureOptions", "Request", "Rules", "evaluate"]
__getattr__, __dir__ = on_first_use(__name__, _PUBLIC)


def evaluate(
    generated: str | Path,
    reference: str | Path,
    keypoints: str | Path | None = None,
    *,
    against: str | Path | None = None,
    csv: str | Path | None = None,
    report: str | Path | None = None,
    report_clips: int = 6,
    hand_detector: str = "signgen",
    hand_weights: str | Path | None = None,
    lpips_weights: str | Path | None = None,
    fid_weights: str | Path | None = None,
    stlpips_weights: str | Path | None = None,
    recogniser: bool | str | Path = False,
    names: str = "error",
    lengths: str = "error",
    sizes: str = "error",
    split: str | None = None,
    limit: int | None = None,
    jobs: int | None = 1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Scores generated video against true video, as ``signgen evaluate`` does.

    Args:
        generated, reference: two videos, two folders of frames, two folders of clips, or two data sets.
        keypoints: of the true frames, a file or a folder with one a clip; None: those of the reference's data set.
        against: a second system's clips, to compare with; gives differences with intervals and p-values.
        csv: file for one line a frame.
        report: HTML file with players, curves and the worst frames.
        report_clips: how many clips the report shows, the worst first.
        hand_detector: what finds the hands' joints for Hand PE: ``signgen``, ``mmpose``, ``rtmlib``, ``mediapipe``.
        hand_weights, lpips_weights, fid_weights: local files; without the last two there is no LPIPS and no FID.
        stlpips_weights: what ``signgen convert-checkpoint stlpips`` wrote; also ST-LPIPS, which is not LPIPS.
        recogniser: True for the one that ships, or a folder: also the word error rate of the recognised signs.
        names, lengths: ``error`` or ``common``, for clips that one side lacks and for clips of unequal length.
        sizes: ``error`` or ``resize``, for frames of unequal size.
        split, limit: of data sets; only the first so many clips.
        jobs: processes; None: as many as are worth their start.
        seed: of intervals and p-values.
        progress: called as ``progress(frames done, frames in all)``.

    Raises:
        InputError: clips or weights are missing, damaged, or do not fit together; an output that cannot be written.
        RunError: a worker process died.

    Example:
        >>> from signgen import evaluate
        >>> result = evaluate("generated.mp4", "true.mp4", keypoints="clip.pose")
        >>> 0 < result.to_json()["metrics"]["ssim_wang"] <= 1
        True
    """
    from signgen.scoring.metrics.metric import MeasureOptions
    from signgen.scoring.pairing import Rules
    from signgen.scoring.run import Request, evaluate_request

    measure = MeasureOptions(
        hand_detector=hand_detector,
        hand_weights=hand_weights,
        lpips_weights=lpips_weights,
        fid_weights=fid_weights,
        stlpips_weights=stlpips_weights,
        recogniser=recogniser is not False,
        recogniser_folder=None if isinstance(recogniser, bool) else Path(recogniser),
    )
    rules = Rules(names, lengths, sizes)
    request = Request(generated, reference, keypoints, against, split, limit, rules, measure, seed, jobs)
    return evaluate_request(request, progress or (lambda done, total: None), csv, report, report_clips)
