"""What a reader gives before sizes, rates and units are known: one signer's points as they are in the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import BadValue, Damaged, Empty, InputError, Missing, NotFound, Unsupported
from signgen.keypoints.skeleton import CONFIDENT, NUM_JOINTS, SHOULDERS, UPPER_BODY


@dataclass(frozen=True)
class Request:
    """What the user asked for: a file or folder, and a clip inside of it where there are several.

    ``first``: the first of several clips will do where ``clip`` names none. ``notes`` collects what is said about the
    choice.
    """

    path: Path
    clip: str | None = None
    first: bool = False
    notes: list[str] = field(default_factory=list, compare=False)

    @property
    def subject(self) -> str:
        return str(self.path)

    def error(self, got: str, advice: str, kind: type[InputError] = Damaged) -> InputError:
        return kind(self.subject, got, advice)


@dataclass(frozen=True)
class Folder:
    """The content of a folder of one file a frame: its files, and what is in each, in natural order."""

    paths: list[Path]
    frames: list[Any]


@dataclass
class RawClip:
    """xy float64 (T,133,2) in pixels (or fractions, found by value), scores float64 (T,133), as the file has them.

    ``placed``: False where the neck is (0,0) and shoulders are about 1 apart, as in `.skels`.
    """

    xy: np.ndarray
    scores: np.ndarray
    name: str
    size: tuple[int, int] | None = None
    fps: float | None = None
    people: int = 1
    placed: bool = True
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Person:
    """One detection in one frame: points (133,2), scores (133,), and the detector's score of the box."""

    points: np.ndarray
    scores: np.ndarray
    rank: float

    @property
    def place(self) -> np.ndarray:
        """(2,) middle of the upper body's confident points."""
        body = self.points[UPPER_BODY][self._seen(UPPER_BODY)]
        return np.median(body, axis=0) if len(body) else np.zeros(2)

    @property
    def reach(self) -> float:
        """A length of the person's own scale: shoulder width, else the spread of the points."""
        shoulders = [*SHOULDERS]
        if self._seen(shoulders).all():
            return float(np.linalg.norm(np.subtract(*self.points[shoulders])))
        seen = self.points[self._seen(slice(None))]
        return float(np.ptp(seen, axis=0).max()) if len(seen) else 0.0

    def distance(self, other: Person) -> float:
        """Between the places of two detections, in shoulder widths."""
        return float(np.linalg.norm(self.place - other.place) / max(self.reach, other.reach, 1e-9))

    def _seen(self, joints: slice | list[int]) -> np.ndarray:
        threshold = CONFIDENT * min(1.0, float(np.nanmax(self.scores, initial=0)))
        return (self.scores[joints] > threshold) & np.isfinite(self.points[joints]).all(-1)


def person(points: object, scores: object, rank: object, request: Request) -> Person:
    """A checked `Person` from lists or arrays: points of 133 x 2 or 133 x 3 (then with scores), any numbers."""
    try:
        xy = np.array(points, dtype=np.float64)
        given = None if scores is None else np.array(scores, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        raise request.error("keypoints that are not numbers", "check the program that wrote the file") from None
    if xy.ndim != 2 or xy.shape[1] not in (2, 3):
        raise request.error(f"keypoints of shape {xy.shape} per person", "give 133 points of x, y") from None
    if len(xy) != NUM_JOINTS:
        raise wrong_count(len(xy), request)
    if given is None:
        given = xy[:, 2] if xy.shape[1] == 3 else seen_where_placed(xy)
    if given.shape != (NUM_JOINTS,):
        raise request.error(f"{given.size} scores for 133 keypoints", "give one score per keypoint")
    return Person(xy[:, :2], given, _number(rank, default=float(np.nanmean(np.nan_to_num(given)))))


def present(points: Iterable[np.ndarray], scores: Iterable[np.ndarray]) -> list[Person]:
    """Those people of a frame of whom a point is seen, (133,2) or (133,3) and (133,); their mean score ranks them."""
    everyone = zip(points, scores, strict=True)
    return [Person(xy[:, :2], s, float(np.nan_to_num(s).mean())) for xy, s in everyone if (s > 0).any()]


def wrong_count(count: int, request: Request) -> InputError:
    advice = "signgen needs the 133 COCO-WholeBody points; use a whole-body estimator"
    return request.error(f"{count} keypoints per person", advice, Unsupported)


def seen_where_placed(xy: np.ndarray) -> np.ndarray:
    """Scores (..., J) for points without any: 1, but 0 for the marks of a missing point, (0,0) and (-1,-1)."""
    missing = (xy[..., :2] == 0).all(-1) | (xy[..., :2] == -1).all(-1)
    return np.where(missing, 0.0, 1.0)


def _number(value: object, default: float) -> float:
    try:
        number = float(np.ravel(np.array(value, dtype=np.float64))[0])
    except (TypeError, ValueError, IndexError, OverflowError):
        return default
    return number if np.isfinite(number) else default


# --- several people -------------------------------------------------------------------------------------------
def follow_signer(
    frames: Sequence[Sequence[Person]], name: str, request: Request, followed: str | None = None
) -> RawClip:
    """One person from frames of several: the track with the highest box scores (sum of their cubes).

    Tracks join each detection to the nearest place of a track, at most one and a half shoulder widths a frame away.
    The chosen track is completed with tracks that never share a frame with it (the person was lost and found).
    A frame without the signer holds zeros. ``followed`` names who that is where ranks are no scores.
    """
    if not frames:
        raise request.error("no frames", "give a file with at least one frame", Empty)
    tracks = _tracks(frames)
    chosen = _signer(tracks)
    xy = np.zeros((len(frames), NUM_JOINTS, 2))
    scores = np.zeros((len(frames), NUM_JOINTS))
    for t, someone in chosen.items():
        xy[t], scores[t] = someone.points, someone.scores
    people = max(len(frame) for frame in frames)
    warnings = [_crowd_warning(frames, chosen, people, followed)] if people > 1 else []
    return RawClip(xy, scores, name, people=people, warnings=warnings)


Track = dict[int, Person]  # frame -> the person there
_LOST_AFTER = 50  # frames without a detection that end a track


def _tracks(frames: Sequence[Sequence[Person]]) -> list[Track]:
    tracks: list[Track] = []
    for t, frame in enumerate(frames):
        free = [i for i, track in enumerate(tracks) if t - max(track) <= _LOST_AFTER]
        last = {i: tracks[i][max(tracks[i])] for i in free}
        pairs = sorted((last[i].distance(someone), i, k) for i in free for k, someone in enumerate(frame))
        joined: set[int] = set()
        for distance, i, k in pairs:
            if distance <= 1.5 and i in free and k not in joined:
                tracks[i][t] = frame[k]
                free.remove(i)
                joined.add(k)
        tracks += [{t: someone} for k, someone in enumerate(frame) if k not in joined]
    return tracks


def _signer(tracks: list[Track]) -> Track:
    # Cubed, so that a sure detection of part of the clip outweighs a doubtful one of all of it.
    ranked = sorted(tracks, key=lambda track: -sum(max(someone.rank, 1e-3) ** 3 for someone in track.values()))
    chosen: Track = {}
    for track in ranked:
        if chosen.keys().isdisjoint(track):
            chosen.update(track)
    return chosen


def _crowd_warning(frames: Sequence[Sequence[Person]], chosen: Track, people: int, followed: str | None = None) -> str:
    crowded = sum(len(frame) > 1 for frame in frames)
    mean = np.mean([someone.rank for someone in chosen.values()])
    lost = sum(t not in chosen and len(frame) > 0 for t, frame in enumerate(frames))
    crowd = f"up to {people} people in a frame ({crowded} of {len(frames)} frames)"
    text = f"{crowd}; follows {followed or f'the one with mean score {mean:.2f}'}"
    return text + (f", not seen in {lost} frames that show others" if lost else "")


# --- several clips --------------------------------------------------------------------------------------------
def pick_clip(names: Sequence[str], request: Request) -> str:
    """The clip that the user named (in full or by its last part), the only one, or the first if that will do.

    Raises:
        InputError: there is none, or several and no name was given.
    """
    if not names:
        raise request.error("no clips", "give a file with at least one clip", Empty)
    if request.clip is None:
        if len(names) > 1 and not request.first:
            raise request.error(f"{len(names)} clips ({_some(names)})", "choose one with --clip NAME", Missing)
        if len(names) > 1:
            held = f"holds {len(names)} clips ({_some(names)})"
            request.notes.append(f"{held}; this is the first (--clip chooses another)")
        return names[0]
    matches = [name for name in names if name == request.clip]
    matches = matches or [name for name in names if name.rsplit("/", 1)[-1] == request.clip.rsplit("/", 1)[-1]]
    if len(matches) == 1:
        return matches[0]
    if matches:
        got = f"{len(matches)} clips named {request.clip}"
        raise request.error(got, f"give the full name: {_some(matches)}", BadValue)
    raise request.error(f"no clip named {request.clip}", f"it holds {len(names)}: {_some(names)}", NotFound)


def _some(names: Sequence[str], count: int = 3) -> str:
    listed = ", ".join(name[:80] for name in names[:count])
    return listed + (", ..." if len(names) > count else "")
