"""Scores one system of the PHOENIX14T benchmark as `signgen evaluate` does."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import signgen
from signgen.dataset.phoenix import Clip
from signgen.errors import InputError
from signgen.scoring import MeasureOptions, Request, Rules
from signgen.scoring.run import evaluate_request


def evaluate_system(
    folder: Path,
    clips: tuple[Clip, ...],
    data: Path,
    keypoints: Path | None = None,
    jobs: int = 1,
    detector: str = "signgen",
    fid: Path | None = None,
    lpips: Path | None = None,
    recogniser: str | None = None,
) -> dict[str, Any]:
    """Evaluates the clips of a folder of renders, and no others that lie there too.

    Args:
        folder: one folder of PNG frames per clip.
        clips: of the data set, true frames and glosses.
        data, keypoints: the data set, and where its keypoints are.
        jobs: processes.
        detector: of hands, see `MeasureOptions`.
        fid, lpips: weight files; without them the metric is not computed.
        recogniser: folder of a recogniser, or ``default``; None: no word error rates.

    Returns:
        `EvaluationResult` as plain data.
    """
    options = MeasureOptions(
        hand_detector=detector,
        lpips_weights=lpips,
        fid_weights=fid,
        recogniser=recogniser is not None,
        recogniser_folder=None if recogniser == "default" else recogniser,
    )
    with tempfile.TemporaryDirectory(prefix="signgen-benchmark-") as chosen:
        for clip in clips:
            (Path(chosen) / clip.name).symlink_to((folder / clip.name).absolute(), target_is_directory=True)
        request = Request(
            chosen, data, keypoints, split=clips[0].split, rules=Rules(names="common"), measure=options, jobs=jobs
        )
        result = evaluate_request(request, _report(folder.name))
    if result.counts["clips"] != len(clips):
        got = f"{result.counts['clips']} of {len(clips)} clips were evaluated"
        raise InputError(folder, got, "delete it and render again")
    plain = result.to_json()
    plain["settings"]["generated"] = str(folder)
    plain["warnings"] = [text for text in plain["warnings"] if chosen not in text]  # those that --limit leaves out
    return plain


def evaluator_sha256() -> str:
    """What tells one evaluator from another: the code of the metrics and the weights that they bring."""
    package, digest = Path(signgen.__file__).parent, hashlib.sha256()
    places = ("scoring", "weights/hand_detector", "weights/recogniser")
    for path in sorted(p for place in places for p in (package / place).rglob("*")):
        if path.is_file() and path.suffix in (".py", ".json", ".safetensors"):
            digest.update(str(path.relative_to(package)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _report(name: str) -> Callable[[int, int], None]:
    """A line on standard error every ten seconds."""
    shown = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{name}: {done}/{total} frames evaluated", file=sys.stderr)

    return report
