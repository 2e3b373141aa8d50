"""From a video to keypoints, and to the files that hold them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from signgen import __version__
from signgen.errors import BadValue, Damaged, Empty, Mismatch, NotWritable, Unsupported
from signgen.extraction.estimator import Estimator
from signgen.extraction.footage import Footage, Schedule, clip_name, open_footage, schedule
from signgen.extraction.loading import EstimatorSettings, load_estimator
from signgen.extraction.people import Box, Someone, choose_region
from signgen.files import Staging, check_target
from signgen.keypoints import Keypoints, write_keypoints
from signgen.keypoints.header import header_bytes, header_path
from signgen.keypoints.orientation import View
from signgen.keypoints.summary import missing_parts

Progress = Callable[[int, int], None]
"""Called as ``progress(frames done, frames in all)``, and once with 0 before the first."""
SUFFIXES = (".json", ".pose", ".npz")


@dataclass(frozen=True)
class ExtractSettings(EstimatorSettings):
    """Which estimator looks, see `EstimatorSettings`, and at what; None means: as the footage says.

    Attributes:
        fps: rate of the keypoints: for a folder of frames, which says none, and to take a video at another rate.
        frames: which of them, counted at that rate.
        person: which person, see `signgen.read_keypoints`; None: the likely signer.
        box: (x0, y0, x1, y1) in pixels, where that person is; nobody is looked for then.
        rotate: the frames are turned clockwise by 0, 90, 180 or 270 degrees before anybody is looked for.
        batch: frames at a time.
    """

    fps: float | None = None
    frames: slice | None = None
    person: int | str | None = None
    box: Box | None = None
    rotate: int = 0
    batch: int = 8


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


def extract(
    source: str | Path, output: str | Path | None = None, *, progress: Progress | None = None, **options: Any
) -> ExtractResult:
    """Finds the keypoints of one person in a video and writes them, as ``signgen extract`` does.

    Beside the file lies ``<output>.header``, which holds frame size and rate. Both are written whole or not at all.

    Args:
        source: a video file or a folder of frames.
        output: ``.json`` (MMPose's), ``.pose`` or ``.npz``; None: the source's name + ``.json`` in the current folder,
            where no other program's file of that name lies.
        progress: called as ``progress(frames done, frames in all)``.
        **options: the fields of `ExtractSettings`, the estimator's among them.

    Raises:
        InputError: bad source, output or options, an estimator that is not installed, or nobody in any frame.

    Example:
        >>> from signgen import extract
        >>> result = extract("recording.mp4", "found.json", person=1)
        >>> result.frames, result.width, result.height
        (4, 320, 240)
    """
    begun = time.monotonic()
    target = _target(source, output)
    with Staging() as staging:
        place, header = staging.place(target), staging.place(header_path(target))
        found = extract_keypoints(source, ExtractSettings(**options), progress)
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
        raise BadValue("--batch", f"got {settings.batch}", "give 1 or more")
    footage = open_footage(source, View(settings.rotate).rotate)
    plan = schedule(footage, settings.fps)
    numbers = _wanted(plan, settings.frames)
    check_read(footage, np.unique(numbers[numbers >= 0]))
    estimator = load_estimator(settings)
    shown = numbers[numbers >= 0]
    box, people, warnings = choose_region(footage, shown, estimator, settings.box, settings.person)
    points = look_at(footage, numbers, estimator, box, settings.batch, progress)
    name = clip_name(footage.path)
    keypoints, repaired = Keypoints.clean(
        points[..., :2], points[..., 2], footage.width, footage.height, plan.fps, name
    )  # fmt: skip
    warnings = [*plan.warnings, *warnings, *repaired, *_lost(keypoints, source)]
    origin = {
        "name": name, "source": str(source), "estimator": estimator.signature, "reader": footage.reader,
        "box": [round(float(side), 2) for side in box], "first_frame": int(shown[0]), "signgen": __version__,
    }  # fmt: skip
    if not (np.diff(numbers) == 1).all():
        origin["source_frames"] = [None if number < 0 else number for number in numbers.tolist()]
    shares = {part: round(share, 4) for part, share in missing_parts(keypoints).items()}
    return Extracted(keypoints, origin, [_described(someone) for someone in people], shares, warnings)


def check_read(footage: Footage, needed: np.ndarray) -> None:
    """Raises `Damaged` where a frame cannot be decoded: before hours are spent on those in front of it."""
    read = sum(1 for _ in _only(footage, needed))
    if read != len(needed):
        raise Damaged(footage.path, f"{read} of {len(needed)} frames can be read", "encode the video again")


def look_at(
    footage: Footage, numbers: np.ndarray, estimator: Estimator, box: np.ndarray, batch: int, progress: Progress | None
) -> np.ndarray:
    """Points float32 (N,133,3) at ``numbers``; a frame that stands at several of them is looked at once, and one that
    is not there shows nobody."""
    there = numbers >= 0
    needed, places = np.unique(numbers[there], return_inverse=True)
    report = progress or (lambda done, total: None)
    report(0, len(needed))
    found: list[np.ndarray] = []
    for frames in _batches(_only(footage, needed), batch):
        found.append(estimator.look(frames, box, follows=bool(found)))
        report(sum(map(len, found)), len(needed))
    points = np.concatenate(found)
    made = np.zeros((len(numbers), *points.shape[1:]), points.dtype)
    made[there] = points[places]
    return made


def _only(footage: Footage, needed: np.ndarray) -> Iterator[np.ndarray]:
    first, last = int(needed[0]), int(needed[-1])
    wanted = set(needed.tolist())
    frames = enumerate(footage.read(first, last + 1), first)
    return (frame for number, frame in frames if number in wanted)


def _batches(frames: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    while batch := list(islice(frames, size)):
        yield np.stack(batch)


def _target(source: str | Path, output: str | Path | None) -> Path:
    target = Path(output) if output is not None else Path(f"{clip_name(source)}.json")
    if target.suffix.lower() not in SUFFIXES:
        got = f"got suffix {target.suffix}" if target.suffix else "has no suffix"
        raise Unsupported(target, got, f"end it in {', '.join(SUFFIXES)}")
    check_target(target, "file")
    check_target(header_path(target), "file")
    if target.exists() and Path(source).exists() and target.samefile(source):
        raise Mismatch(target, "is the input", "write elsewhere")
    if output is None and target.exists() and not header_path(target).exists():
        got = "is there already, and `signgen extract` did not write it"  # but a render, say
        raise NotWritable(target, got, "name the output: -o OUT.json")
    return target


def _wanted(plan: Schedule, frames: slice | None) -> np.ndarray:
    """Numbers (N,) of the footage's frames, one for each frame of the keypoints."""
    if frames is not None and frames.step not in (None, 1):
        raise BadValue("frames", f"got {frames!r}", "give a slice without a step; fps takes fewer frames")
    numbers = plan.numbers[frames] if frames is not None else plan.numbers
    stop = len(plan.numbers) if frames is None or frames.stop is None else frames.stop
    if not len(numbers) or stop > len(plan.numbers):
        allowed = f"the clip has frames 0 to {len(plan.numbers) - 1}, write A:B with A < B <= {len(plan.numbers)}"
        raise BadValue("--frames", f"got {frames.start or 0}:{stop}" if frames else "no frame", allowed)
    if (numbers < 0).all():
        raise BadValue("--frames", "no picture of it is there", "give a range that holds one")
    return numbers


def _lost(keypoints: Keypoints, source: str | Path) -> list[str]:
    """A warning about frames without anybody; `Empty` if there is nobody in any."""
    empty = int((~(keypoints.confidence > 0).any(1)).sum())
    if empty == len(keypoints):
        raise Empty(source, f"nobody is found in any of {empty} frames", "check the video, or say --box")
    return [f"nobody is found in {empty} of {len(keypoints)} frames"] if empty else []


def _described(someone: Someone) -> dict[str, Any]:
    box = [round(float(side), 1) for side in someone.box]
    return {"box": box, "shoulders": round(someone.shoulders, 1), "score": round(someone.score, 3)}
