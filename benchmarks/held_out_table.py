"""What a new `mini` is judged by: each clip is rendered once, all judges look at it, an earlier model stands beside."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from drawn_clips import KINDS, generate, kept_at
from extract_judge import Tally as Found
from extract_judge import kept_hands, looked_at
from held_out_scores import FAST, Scores
from legibility_scores import MODEL, TRUE, Judges, read_hands
from legibility_scores import Tally as Read
from retrieval import MEASURES as RANKS
from retrieval import Embedder, pictures
from retrieval import measure as measure_retrieval
from torch import nn

from signgen.dataset.phoenix import Clip
from signgen.errors import Damaged, InputError, Mismatch, NotInstalled
from signgen.extraction import EstimatorSettings
from signgen.extraction.estimator import Estimator
from signgen.extraction.loading import load_estimator
from signgen.keypoints import read_keypoints
from signgen.model import SignGenPipeline
from signgen.model.networks.wrist_finder import load_wrist_finder
from signgen.model.openvino.engine import choose_engine
from signgen.rendering import render
from signgen.rendering.source import Source
from signgen.scoring.comparison import bootstrap_intervals, percentile_interval, quotients, resample
from signgen.scoring.measures import ratio
from signgen.scoring.metrics.hand_detectors import load_hand_detector
from signgen.scoring.metrics.handshapes import load_handshape_classifier, read_shape_labels
from signgen.video import read_frames

BEFORE = Path(__file__).with_name("mini_0.1.json")
GAP = 6  # frames from one target of the retrieval to the next
Sums = dict[str, np.ndarray]  # measure -> numerator and denominator
Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Row:
    """A measure of the table.

    Attributes:
        name, label: in the results, and for people.
        known, new: lowest and highest value that is wanted, for each kind of signers; None: shown only.
        digits: decimals.
        scale: 100 for a share in per cent.
    """

    name: str
    label: str
    known: tuple[float, float] | None = None
    new: tuple[float, float] | None = None
    digits: int = 3
    scale: int = 1

    def text(self, value: float | None, sign: str = "") -> str:
        return "-" if value is None else f"{self.scale * value:{sign}.{self.digits}f}"

    def span(self, interval: Interval, sign: str = "") -> str:
        return "" if interval is None else f" ({self.text(interval[0], sign)} to {self.text(interval[1], sign)})"

    def goal(self, kind: str, value: float | None) -> str:
        """What is wanted, and whether it is reached."""
        wanted = self.known if kind == "known" else self.new
        if wanted is None or value is None:
            return ""
        low, high = wanted
        words = [f"at least {self.text(low)}"] * (low > 0) + [f"at most {self.text(high)}"] * (high < np.inf)
        return f"{' and '.join(words)}: {'reached' if low <= value <= high else 'NOT reached'}"


def _from(value: float) -> tuple[float, float]:
    return value, np.inf


ROWS = (
    Row("hand_ssim", "Hand SSIM", _from(0.835), _from(0.81)),
    Row("fast_hand_ssim", f"Hand SSIM over {FAST:g} px a frame"),
    Row("within_3_px", "hands within 3 px, %", _from(0.88), _from(0.87), 1, 100),
    Row("shape_right", "hand shape right, %", _from(0.90), _from(0.87), 1, 100),
    Row("mediapipe_kept", "MediaPipe finds again, %", _from(0.9), _from(0.9), 1, 100),
    Row("mediapipe_found", "MediaPipe finds, %", digits=1, scale=100),
    Row("face_ssim", "face SSIM", _from(0.90), _from(0.88)),
    Row("mouth_ssim", "mouth SSIM", _from(0.915), _from(0.89)),
    Row("eyes_ssim", "eyes SSIM"),
    Row("hand_sharpness", "sharpness of hands"),
    Row("face_sharpness", "sharpness of faces"),
    Row("recall_at_1", "R@1 of the fusion embedding", _from(0.99), _from(0.97), 2),
    Row("motion_ratio", "motion ratio", (0.95, 1.05), (0.95, 1.05)),
    Row("still_flicker", "still flicker, levels", digits=2),
    Row("background_deviation", "background deviation, levels", digits=2),
    Row("ssim_wang", "SSIM wang"),
    Row("ssim_win51", "SSIM win51"),
    Row("psnr", "PSNR, dB", digits=2),
    Row("wrist_px", "wrists off by, px", digits=2),
    Row("tof", "tOF"),
)
SLOWEST = 1.15  # times the older model's time a frame


# ---- what the judges see ---------------------------------------------------------------------------------------------


@dataclass
class Panel:
    """A model and its judges; where MediaPipe is not installed, ``estimator`` is None and ``missing`` says why."""

    pipeline: SignGenPipeline
    finder: nn.Module
    hands: Judges
    estimator: Estimator | None = None
    missing: str = ""

    @classmethod
    def load(cls, pipeline: SignGenPipeline, outside: bool = True) -> Panel:
        """``outside``: MediaPipe, too, where it is installed."""
        judges = load_wrist_finder(), Judges(load_hand_detector(), load_handshape_classifier())
        if not outside:
            return cls(pipeline, *judges)
        try:
            return cls(pipeline, *judges, load_estimator(EstimatorSettings("mediapipe")))
        except NotInstalled as problem:
            return cls(pipeline, *judges, missing=str(problem))

    def signatures(self) -> dict[str, str]:
        """Of everything that has a say in the figures."""
        found = Scores(self.finder).signatures()
        found |= {"within_3_px": self.hands.detector.signature, "shape_right": self.hands.classifier.signature}
        found["recall_at_1"] = f"retrieval|gap:{GAP}|v1"
        if self.estimator is not None:
            found["mediapipe_found"] = found["mediapipe_kept"] = self.estimator.signature
        return found

    def judge(self, clip: Clip, renders: Path | None, **options: Any) -> tuple[Sums, Sums]:
        """What a clip adds to each measure, in the true frames and in the model's: numerator and denominator."""
        keypoints = read_keypoints(clip.keypoints).keypoints
        true = np.stack(list(read_frames(clip.folder)))
        made = np.stack(list(generate(self.pipeline, true[0], keypoints, kept_at(renders, clip), **options)))
        true, made, window = true[1:], made[1:], keypoints[1:]  # the first is the source itself
        labels = read_shape_labels(clip.keypoints, self.hands.classifier.shapes)[1:]
        scores, seen = Scores(self.finder), (Found(), Found())
        both: tuple[Sums, Sums] = {}, {}
        for frames, sums, found in zip((true, made), both, seen, strict=True):
            read = Read()
            read.add(read_hands(self.hands, frames, window), labels)
            sums["within_3_px"], sums["shape_right"] = read.clips[0]
            if self.estimator is not None:
                found.add(looked_at(self.estimator, frames)[1], window)
                sums["mediapipe_found"] = found.sums()[0]
        if self.estimator is not None:
            both[1]["mediapipe_kept"] = kept_hands(*seen)[0]
        scores.update(made, true, window, continues=False)
        return both[0], {**both[1], **{name: np.array(metric.sums()) for name, metric in scores.metrics().items()}}

    def judge_all(self, clips: list[Clip], label: str, renders: Path | None, **options: Any) -> dict[str, Any]:
        """The results over the clips of a kind: for the model and for the true frames, sums, values and intervals."""
        judged_clips, begun = [], time.monotonic()
        for clip in clips:
            judged_clips.append(self.judge(clip, renders, **options))
            print(f"{label}: {len(judged_clips)}/{len(clips)} clips, {time.monotonic() - begun:.0f} s", file=sys.stderr)
        tables = [
            {name: np.stack([sums[name] for sums in table]) for name in table[0]}
            for table in zip(*judged_clips, strict=True)
        ]
        if self.pipeline.fusion is not None:
            found, _ = measure_retrieval(Embedder(self.pipeline.fusion), [pictures(clip, GAP) for clip in clips])
            tables[1]["recall_at_1"] = found[:, RANKS.index("recall_at_1")]
        results = {name: summary(table, options["seed"]) for name, table in zip((TRUE, MODEL), tables, strict=True)}
        return {"clips": names(clips), **results}


def names(clips: list[Clip]) -> list[str]:
    """Data set and clip: a drawn one's name says how it was drawn."""
    return [str(kept_at(Path(), clip)) for clip in clips]


def summary(tables: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    """Sums (C,2) of each measure -> its value, its interval over clips, and the sums, to be compared with others."""
    return {
        name: {
            "value": ratio(*table.sum(0).tolist()),
            "interval": bootstrap_intervals(table[:, None], seed)[0],
            "sums": table.tolist(),
        }
        for name, table in tables.items()
    }


def differences(now: dict[str, Any], before: dict[str, Any], seed: int) -> Interval:
    """95 % interval of a value less an earlier one, clips drawn in pairs."""
    both = np.stack([np.array(part["sums"]) for part in (now, before)], 1)  # (C,2,2)
    drawn = quotients(resample(both, seed))  # (draws,2)
    return percentile_interval(drawn[:, 0] - drawn[:, 1])


def read_before(path: Path, clips: dict[str, list[Clip]], signatures: dict[str, str]) -> dict[str, Any]:
    """The results of an earlier model, on the same clips with the same judges.

    Raises:
        InputError: the file holds no results, or those of other clips or judges.
    """
    try:
        before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        old, found = before["signatures"], {kind: before[kind]["clips"] for kind in clips}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise Damaged(path, f"holds no results ({problem})", "give what --table --json wrote") from problem
    other = [f"{kind} clips" for kind, own in clips.items() if found[kind] != names(own)]
    other += [name for name, signature in signatures.items() if old.get(name, signature) != signature]
    if other:
        advice = "measure that model again with --table --json, or give --before none"
        raise Mismatch(path, f"was measured on or with other {', '.join(other)}", advice)
    return before


def judged(
    pipeline: SignGenPipeline, clips: dict[str, list[Clip]], renders: Path | None, before: Path | None, **options: Any
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The results of a model, and those of the earlier one, which are checked first."""
    panel = Panel.load(pipeline)
    dtype = str(pipeline.dtype).removeprefix("torch.")
    results: dict[str, Any] = {**options, "dtype": dtype, "signatures": panel.signatures(), "not_measured": {}}
    if panel.missing:
        results["not_measured"]["MediaPipe"] = panel.missing
    if pipeline.fusion is None:
        results["not_measured"]["R@1"] = "the model has no fusion embedding"
    earlier = None if before is None else read_before(before, clips, results["signatures"])
    for kind, own in clips.items():
        results[kind] = panel.judge_all(own, f"{kind} signers", renders, **options)
    return results, earlier


# ---- time ------------------------------------------------------------------------------------------------------------


def times(pipeline: SignGenPipeline, other: SignGenPipeline, clip: Clip, rounds: int = 5) -> dict[str, Any]:
    """Processor time of a render by a model over that by another one, in turns: the median of the rounds, by engine.

    Of all threads, so that other work on the machine hardly counts. The first round is left out, for it compiles and
    warms up. Where an engine is missing, its value is the reason.
    """
    keypoints, found = read_keypoints(clip.keypoints).keypoints, dict[str, Any]()
    person = Source(next(read_frames(clip.folder)), keypoints[0:1], "first frame", "image")
    for backend in ("torch", "openvino"):
        try:
            for model in (pipeline, other):
                model.engine = choose_engine(model, backend)
        except InputError as problem:
            found[backend] = str(problem)
            continue
        seconds = []
        with tempfile.TemporaryDirectory(prefix="signgen-held-out-") as folder:
            for model in (pipeline, other) * (rounds + 1):
                begun = time.process_time()
                render(keypoints, person, model, Path(folder) / "made.mp4")
                seconds.append(time.process_time() - begun)
        quotient = np.divide(*np.array(seconds[2:]).reshape(rounds, 2).T)
        found[backend] = {"ratio": float(np.median(quotient)), "rounds": quotient.tolist()}
    return found


# ---- text ------------------------------------------------------------------------------------------------------------


def table_text(results: dict[str, Any], before: dict[str, Any] | None) -> str:
    """All rows of both kinds of signers, with what an earlier model had beside, and what is wanted."""
    heads = ["signers", "", "true frames", "before", "now (95 %)", "difference (95 %)", "wanted"]
    lines = [heads, *(_cells(row, kind, results, before) for kind in KINDS for row in ROWS)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text += [f"not measured: {name}: {reason}" for name, reason in results["not_measured"].items()]
    for backend, found in results.get("times", {}).items():
        reached = isinstance(found, dict) and ("reached" if found["ratio"] <= SLOWEST else "NOT reached")
        told = f"{found['ratio']:.2f}, at most {SLOWEST}: {reached}" if isinstance(found, dict) else found
        text.append(f"processor time a frame over that of {results['turns']}, {backend}: {told}")
    return "\n".join(text)


def _cells(row: Row, kind: str, results: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    true, now = (results[kind][part].get(row.name, {}) for part in (TRUE, MODEL))
    old = before[kind][MODEL].get(row.name, {}) if before else {}
    value = now.get("value")
    cells = [kind, row.label, row.text(true.get("value")), row.text(old.get("value"))]
    cells.append(row.text(value) + row.span(now.get("interval")))
    if value is not None and old.get("value") is not None:
        cells.append(row.text(value - old["value"], "+") + row.span(differences(now, old, results["seed"]), "+"))
    else:
        cells.append("-")
    return [*cells, row.goal(kind, value)]
