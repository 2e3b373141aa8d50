"""Several pictures of the person, frames of a video that show most of it, and frames of the clip that are given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import BadValue, Damaged, Empty, Mismatch, Missing
from signgen.keypoints import Keypoints
from signgen.keypoints.orientation import View, head_turn
from signgen.keypoints.skeleton import CONFIDENT, FACE, HANDS, MIDDLE_KNUCKLE
from signgen.package import PERSONAL
from signgen.rendering.source import Source, in_pixels_of, load_source, upright

MOST_SOURCES = 8
_MOST_BYTES = 1 << 20
_BRIGHT_ENOUGH = 0.5  # share of the points of hands and face that a chosen frame shows, of the best frame's
_TIPS = [4, 8, 12, 16, 20]  # of a hand
_CANDIDATES = 600  # frames of a long video that are compared


def load_sources(
    specs: Sequence[Source | str | Path] | Source | str | Path | None,
    keypoints: Sequence[str | Path] | str | Path | None = None,
    frames: int = 1,
    **reading: Any,
) -> list[Source]:
    """The pictures of one person, the most important first.

    Args:
        specs: images, videos, signers' names; several show one person.
        keypoints: files that say where the person stands, one a picture in the same order, or for a video with
            ``frames`` above 1 of all its frames.
        frames: of a video, how many are taken: those that show most, see `choose_frames`. Its keypoints must be known.
        **reading: how a picture is read, see `load_source`.

    Raises:
        InputError: more than `MOST_SOURCES`, keypoints that do not belong to a picture, or a picture that is none.

    Example:
        >>> [source.name for source in load_sources(["alma", "bela"])]
        ['alma', 'bela']
    """
    given = [specs] if specs is None or isinstance(specs, (Source, str, Path)) else list(specs)
    places = [keypoints] if isinstance(keypoints, (str, Path)) else list(keypoints or ())
    if not given:
        raise Empty("--source", "no picture is given", "give one, or leave it out")
    if len(places) > len(given):
        got = f"{len(places)} files for {len(given)} pictures"
        raise Mismatch("--source-keypoints", got, "give one for each picture, in the same order")
    sources: list[Source] = []
    for number, spec in enumerate(given):
        place = places[number] if number < len(places) else None
        sources += _of_video(spec, place, frames, reading) if frames > 1 else [_one(spec, place, reading)]
    if len(sources) > MOST_SOURCES:
        raise BadValue("--source", f"got {len(sources)} pictures", f"give at most {MOST_SOURCES}")
    return sources


def _one(spec: Source | str | Path | None, place: str | Path | None, reading: dict[str, Any]) -> Source:
    return spec if isinstance(spec, Source) else load_source(spec, place, **reading)


def _of_video(
    spec: Source | str | Path | None, place: str | Path | None, frames: int, reading: dict[str, Any]
) -> list[Source]:
    """The frames of a video, or of a folder of frames, that show most of its person."""
    from signgen.keypoints import read_keypoints
    from signgen.keypoints.units import check_placed
    from signgen.video import probe, read_frame

    first = _one(spec, None, reading | {"estimate": False})
    if isinstance(spec, Source) or first.kind != "video":
        raise Mismatch("--source-frames", f"is given for {first.name}, which is one picture", "leave it out")
    if place is None:
        advice = "add --source-keypoints FILE; signgen extract finds them where an estimator is installed"
        raise Missing("--source-frames", f"it is not known what the frames of {first.name} show", advice)
    path, rotate = Path(first.name), reading.get("rotate", 0)
    video = probe(path)
    read = read_keypoints(place)
    check_placed(read, str(place), "the video's")
    clip = read.keypoints if read.size_known else read_keypoints(place, frame_size=video.size).keypoints
    if len(clip) != video.frames:
        raise Mismatch(place, f"has {len(clip)} frames, {path} {video.frames}", "give the keypoints of this very video")
    clip = in_pixels_of(video.size, clip, place)
    found = []
    for index in choose_frames(View(rotate).of(clip)[0], frames):
        name = f"{path}#{index}"
        person = replace(clip[index : index + 1], name=name)
        picture = Source(read_frame(path, index), person, name, "image", video=first.video)
        found.append(upright(picture, rotate))
    return found


def personal_record(model: str | Path | None) -> dict[str, Any]:
    """What the folder of a model says of the person that it has learned; empty where it is no such model.

    Raises:
        Damaged: it says something that cannot be read.
    """
    path = Path(model or "") / PERSONAL
    if model is None or not path.is_file():
        return {}
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")[:_MOST_BYTES])
        pictures = [str(name) for name in record["sources"]]
        if not pictures or not isinstance(record["consent"], str) or any(".." in Path(name).parts for name in pictures):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise Damaged(path, "cannot be read", "make the model again with signgen personalise") from None
    return record


def consent_in(record: Mapping[str, Any]) -> dict[str, str]:
    """``consent`` and its words, where a record has them: what is made with a person's model says them, too."""
    return {"consent": record["consent"]} if "consent" in record else {}


def own_pictures(model: str | Path | None) -> tuple[list[Path], list[Path]]:
    """The pictures that a model has of the person that it has learned, and their keypoints."""
    pictures = [Path(model or "") / name for name in personal_record(model).get("sources", ())]
    return pictures, [picture.with_suffix(".npz") for picture in pictures]


def source_or_own(source: Any, places: Any, model: str | Path | None) -> tuple[Any, Any]:
    """A source and its keypoints as they were given; where none was, a model's own pictures, if it has any."""
    if source is not None:
        return source, places
    pictures, own = own_pictures(model)
    return (pictures, own) if pictures else (source, places)


def load_given(frames: Mapping[int, Source | str | Path]) -> dict[int, Source]:
    """Frames of the clip that are given, by their numbers.

    Raises:
        InputError: a number below 0, or a file that is no picture.
    """
    for number in frames:
        if number < 0:
            raise BadValue("--known", f"got frame {number}", "frames are counted from 0")
    return {number: _one(spec, None, {}) for number, spec in sorted(frames.items())}


def choose_frames(clip: Keypoints, count: int) -> list[int]:
    """The frames that show most of a person: open hands apart from the face, a face that looks forward, and then those
    that are least like the ones chosen before. In the order of their worth.

    Raises:
        Empty: nobody is seen.

    Example:
        >>> from signgen import read_keypoints
        >>> choose_frames(read_keypoints("clip.pose").keypoints, 1)
        [0]
    """
    frames = np.unique(np.linspace(0, len(clip) - 1, min(len(clip), _CANDIDATES)).astype(int))
    xy, seen = clip.xy[frames].astype(np.float64), clip.confidence[frames] >= CONFIDENT
    turn = np.clip(np.nan_to_num(head_turn(clip.points[frames])[:, 0]), -1, 1)
    worth, looks = _worth(xy, seen, turn, clip.size), _looks(xy, seen, turn)
    if not seen.any():
        raise Empty(clip.name or "keypoints", "nobody is seen in any frame", "give a video that shows the person")
    chosen = [int(worth.argmax())]
    usable = worth >= _BRIGHT_ENOUGH * worth.max()
    apart = np.full(len(frames), np.inf)
    while len(chosen) < min(count, len(frames)):
        apart = np.minimum(apart, np.linalg.norm(looks - looks[chosen[-1]], axis=-1))
        score = np.where(usable, apart, -1) + 1e-6 * worth
        score[chosen] = -np.inf
        chosen.append(int(score.argmax()))
    return [int(frames[index]) for index in chosen]


def _worth(xy: np.ndarray, seen: np.ndarray, turn: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(T,): how much a frame shows of face and hands."""
    inside = ((xy >= 0) & (xy <= np.array(size) - 1)).all(-1) & seen
    face = inside[:, FACE].mean(1) * (1 - np.minimum(np.abs(turn) * 2, 0.5))
    worth = face
    shown = seen[:, FACE, None]
    centre = (xy[:, FACE] * shown).sum(1) / np.maximum(shown.sum(1), 1)
    radius = (np.linalg.norm(xy[:, FACE] - centre[:, None], axis=-1) * shown[..., 0]).max(1)
    for hand in HANDS:
        points = xy[:, hand]
        palm = np.maximum(np.linalg.norm(points[:, MIDDLE_KNUCKLE] - points[:, 0], axis=-1), 1e-6)
        tips = points[:, _TIPS]
        spread = np.linalg.norm(tips - tips.mean(1, keepdims=True), axis=-1).mean(1) / palm
        away = np.linalg.norm(points.mean(1) - centre, axis=-1) > radius + palm
        worth = worth + inside[:, hand].mean(1) * (0.5 + 0.5 * np.minimum(spread, 1)) * np.where(away, 1, 0.6)
    return worth


def _looks(xy: np.ndarray, seen: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(T, D): the shapes of both hands and the turn of the head, each about as far apart as the others."""
    parts = [3 * turn[:, None]]
    for hand in HANDS:
        points = xy[:, hand] - xy[:, hand.start : hand.start + 1]
        palm = np.maximum(np.linalg.norm(points[:, MIDDLE_KNUCKLE], axis=-1), 1e-6)[:, None, None]
        parts.append((np.clip(points / palm, -3, 3) * seen[:, hand, None]).reshape(len(xy), -1) / np.sqrt(21))
    return np.concatenate(parts, 1)
