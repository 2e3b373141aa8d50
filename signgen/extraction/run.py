"""From a video to keypoints, and to the files that hold them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from signgen import __version__
from signgen.errors import InputError
from signgen.extraction.footage import Schedule, open_footage, schedule
from signgen.extraction.loading import EstimatorSettings, load_estimator
from signgen.extraction.people import Box, Progress, Someone, choose_region, look_at
from signgen.files import Staging
from signgen.keypoints import Keypoints, write_keypoints
from signgen.keypoints.header import header_bytes, header_path
from signgen.keypoints.summary import missing_parts

BATCH = 8  # frames at a time
SUFFIXES = (".json", ".pose", ".npz")


@dataclass(frozen=True)
class ExtractSettings:
    """What is looked at; None means: as the footage says.

    Attributes:
        estimator: which, and with what.
        fps: rate of the keypoints: for a folder of frames, which says none, and to take a video at another rate.
        frames: which of them, counted at that rate.
        person: number of the person, from 1 at the left of the picture; None: the largest.
        box: (x0, y0, x1, y1) in pixels, where that person is; nobody is looked for then.
        batch: frames at a time.
    """

    estimator: EstimatorSettings = field(default_factory=EstimatorSettings)
    fps: float | None = None
    frames: slice | None = None
    person: int | None = None
    box: Box | None = None
    batch: int = BATCH


@dataclass(frozen=True)
class Extracted:
    """Keypoints and how they came about.

    Attributes:
        keypoints: one person's.
        origin: what a header says beside size and rate: source, estimator, reader, box and which frames.
        people: everybody who was found, from the left; empty where nobody was looked for.
        missing: share of frames without each part of the body.
        warnings: what was assumed or not found, with figures.
    """

    keypoints: Keypoints
    origin: dict[str, Any]
    people: list[dict[str, Any]]
    missing: dict[str, float]
    warnings: list[str]


@dataclass(frozen=True)
class ExtractResult:
    """What the command reports; the fields are the keys of ``--json``."""

    output: str
    header: str
    frames: int
    width: int
    height: int
    fps: float
    seconds: float
    frames_per_second: float
    estimator: str
    reader: str
    box: list[float]
    people: list[dict[str, Any]]
    missing: dict[str, float]
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def extract(
    source: str | Path,
    output: str | Path | None = None,
    settings: ExtractSettings | None = None,
    progress: Progress | None = None,
) -> ExtractResult:
    """Writes the keypoints of a video and their header, both whole or none of them.

    Args:
        source: a video file or a folder of frames.
        output: ``.json`` (MMPose's), ``.pose`` or ``.npz``; None: the source's stem + ``.json`` in the current folder.

    Raises:
        InputError: bad source, output or options, or nobody in any frame.
    """
    begun = time.monotonic()
    target = _target(source, output)
    with Staging() as staging:
        place, header = staging.place(target), staging.place(header_path(target))
        found = extract_keypoints(source, settings, progress)
        write_keypoints(found.keypoints, place)
        header.write_bytes(header_bytes(found.keypoints, found.origin))
    seconds, clip = time.monotonic() - begun, found.keypoints
    return ExtractResult(
        str(target), str(header_path(target)), len(clip), clip.width, clip.height, clip.fps, round(seconds, 3),
        round(len(clip) / seconds, 3), found.origin["estimator"], found.origin["reader"], found.origin["box"],
        found.people, found.missing, found.warnings,
    )  # fmt: skip


def extract_keypoints(
    source: str | Path, settings: ExtractSettings | None = None, progress: Progress | None = None
) -> Extracted:
    """The keypoints of one person in a video file or a folder of frames. Raises as `extract`."""
    settings = settings or ExtractSettings()
    if settings.batch < 1:
        raise InputError("--batch", f"got {settings.batch}", "give 1 or more")
    footage = open_footage(source)
    plan = schedule(footage, settings.fps)
    numbers = _wanted(plan, settings.frames)
    estimator = load_estimator(settings.estimator)
    box, people, warnings = choose_region(footage, numbers, estimator, settings.box, settings.person)
    points = look_at(footage, numbers, estimator, box, settings.batch, progress)
    name = footage.path.name if footage.path.is_dir() else footage.path.stem
    keypoints, mended = Keypoints.clean(
        points[..., :2], points[..., 2], footage.width, footage.height, plan.fps, name
    )  # fmt: skip
    warnings = [*plan.warnings, *warnings, *mended, *_lost(keypoints, source)]
    origin = {
        "name": name, "source": str(source), "estimator": estimator.signature, "reader": footage.reader,
        "box": [round(float(side), 2) for side in box], "first_frame": int(numbers[0]), "signgen": __version__,
    }  # fmt: skip
    if not (np.diff(numbers) == 1).all():
        origin["source_frames"] = numbers.tolist()
    shares = {part: round(share, 4) for part, share in missing_parts(keypoints).items()}
    return Extracted(keypoints, origin, [_described(someone) for someone in people], shares, warnings)


def _target(source: str | Path, output: str | Path | None) -> Path:
    target = Path(output) if output is not None else Path(f"{Path(source).resolve().stem}.json")
    if target.suffix.lower() not in SUFFIXES:
        got = f"got suffix {target.suffix}" if target.suffix else "has no suffix"
        raise InputError(target, got, f"end it in {', '.join(SUFFIXES)}")
    if target.is_dir():
        raise InputError(target, "is a folder", "give the name of a file to write")
    if target.exists() and Path(source).exists() and target.samefile(source):
        raise InputError(target, "is the input", "write elsewhere")
    return target


def _wanted(plan: Schedule, frames: slice | None) -> np.ndarray:
    """Numbers (N,) of the footage's frames, one for each frame of the keypoints."""
    numbers = plan.numbers[frames] if frames is not None else plan.numbers
    stop = len(plan.numbers) if frames is None or frames.stop is None else frames.stop
    if not len(numbers) or stop > len(plan.numbers):
        allowed = f"the clip has frames 0 to {len(plan.numbers) - 1}, write A:B with A < B <= {len(plan.numbers)}"
        raise InputError("--frames", f"got {frames.start or 0}:{stop}" if frames else "no frame", allowed)
    return numbers


def _lost(keypoints: Keypoints, source: str | Path) -> list[str]:
    """A word about frames without anybody. InputError if there is nobody in any."""
    empty = int((~(keypoints.confidence > 0).any(1)).sum())
    if empty == len(keypoints):
        raise InputError(source, f"nobody is found in any of {empty} frames", "check the video, or say --box")
    return [f"nobody is found in {empty} of {len(keypoints)} frames"] if empty else []


def _described(someone: Someone) -> dict[str, Any]:
    box = [round(float(side), 1) for side in someone.box]
    return {"box": box, "shoulders": round(someone.shoulders, 1), "score": round(someone.score, 3)}
