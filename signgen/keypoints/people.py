"""Several people in a frame: who is the signer, over all frames, in one pass."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np

from signgen.errors import BadValue, Empty, InputError, NotFound, TooLarge, Unsupported
from signgen.keypoints.budget import MOST_FRAMES, MOST_PEOPLE
from signgen.keypoints.frame_numbers import Timeline, timeline
from signgen.keypoints.layouts.wholebody import ORDERS, in_order
from signgen.keypoints.raw import Crowd, RawClip, Request, seen_where_placed
from signgen.keypoints.rows import Rows, blocks
from signgen.keypoints.skeleton import CONFIDENT, NUM_JOINTS, SHOULDERS, UPPER_BODY, WRISTS

PERSONS = ("largest", "left", "centre", "right")
"""Who can be meant, beside a number from 1 at the left of the picture."""
_MOST_MISSED = 100_000  # frames without anybody that a clip may begin with, or that are more than 99 of 100


@dataclass(frozen=True)
class Person:
    """One detection in one frame: points (133,2), scores (133,), and the detector's score of the box."""

    points: np.ndarray
    scores: np.ndarray
    rank: float

    @property
    def place(self) -> np.ndarray:
        """(2,) middle of the upper body's confident points."""
        return _places(self.points[None], self.scores[None])[0][0]

    @property
    def reach(self) -> float:
        """A length of the person's own scale: shoulder width, else the spread of the points."""
        return float(_places(self.points[None], self.scores[None])[1][0])


@dataclass(frozen=True)
class Detections:
    """Everybody in some successive frames.

    Attributes:
        counts: (T,) people in each frame.
        points: (N,133,2), of all frames one after the other.
        scores: (N,133).
        ranks: float64 (N,), the detector's scores of the boxes.
    """

    counts: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray


def person(points: Any, scores: Any, rank: Any, request: Request) -> Person:
    """A checked `Person` from lists or arrays, any numbers: points of 133 x 2 or 133 x 3 (then with scores).

    They may also be one flat list of x, y, score, and in one of the orders of `layouts.wholebody`.
    """
    try:
        xy = request.budget.numbers(points)
        given = None if scores is None else request.budget.numbers(scores).reshape(-1)
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError):
        raise request.error("keypoints that are not numbers", "check the program that wrote the file") from None
    if xy.ndim == 1 and xy.size and xy.size % 3 == 0:
        xy = xy.reshape(-1, 3)
    if xy.ndim != 2 or xy.shape[1] not in (2, 3):
        raise request.error(f"keypoints of shape {xy.shape} per person", "give 133 points of x, y") from None
    if len(xy) in ORDERS:
        given = in_order(given, 0) if given is not None and given.shape == xy.shape[:1] else given
        xy = in_order(xy)
    if len(xy) != NUM_JOINTS:
        raise wrong_count(len(xy), request)
    if given is None:
        given = xy[:, 2] if xy.shape[1] == 3 else seen_where_placed(xy)
    if given.shape != (NUM_JOINTS,):
        raise request.error(f"{given.size} scores for 133 keypoints", "give one score per keypoint")
    return Person(xy[:, :2], given, _number(rank, request, default=float(np.nanmean(np.nan_to_num(given)))))


def is_one_person(people: Iterable[Person]) -> bool:
    """Neighbours in a list stand less than half a shoulder width apart: nobody stands inside somebody else."""
    steps = [
        np.linalg.norm(a[0] - b[0]) / max(a[1], b[1], 1e-9)
        for a, b in pairwise((someone.place, someone.reach) for someone in people)
    ]
    return bool(steps) and float(np.median(steps)) < 0.5


def wrong_count(count: int, request: Request) -> InputError:
    known = ", ".join(map(str, ORDERS))
    advice = f"signgen needs the 133 COCO-WholeBody points (or {known} of those orders); use a whole-body estimator"
    return request.error(f"{count} keypoints per person", advice, Unsupported)


def present(points: np.ndarray, scores: np.ndarray) -> Detections:
    """Those of (T,P,133,2) or (T,P,133,3) of whom a point is seen, (T,P,133); their mean score ranks them."""
    seen = (scores > 0).any(-1)
    found = scores[seen]
    ranks = np.nan_to_num(found.astype(np.float64)).mean(-1)
    return Detections(seen.sum(1), points[seen][..., :2], found, ranks)


def _number(value: Any, request: Request, default: float) -> float:
    try:
        number = float(np.ravel(request.budget.numbers(value))[0])
    except (TypeError, ValueError, IndexError, OverflowError):
        return default
    return number if np.isfinite(number) else default


def _places(points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`Person.place` (N,2) and `Person.reach` (N,) of many at once."""
    points, scores = points.astype(np.float64), scores.astype(np.float64)
    threshold = CONFIDENT * np.minimum(1.0, np.fmax.reduce(scores, axis=1, initial=0.0))
    seen = (scores > threshold[:, None]) & np.isfinite(points).all(-1)
    body = seen[:, UPPER_BODY]
    count = body.sum(1)
    sides = np.sort(np.where(body[..., None], points[:, UPPER_BODY], np.inf), axis=1)
    everyone = np.arange(len(points))
    middle = (sides[everyone, np.maximum(count - 1, 0) // 2] + sides[everyone, count // 2 * (count > 0)]) / 2
    place = np.where(count[:, None] > 0, middle, 0.0)
    low = np.where(seen[..., None], points, np.inf).min(1)
    high = np.where(seen[..., None], points, -np.inf).max(1)
    left, right = SHOULDERS
    across = points[:, left] - points[:, right]
    reach = np.where(seen[:, SHOULDERS].all(1), np.hypot(across[:, 0], across[:, 1]), (high - low).max(1))
    return place, np.where(seen.any(1), reach, 0.0)


# --- following one of them ------------------------------------------------------------------------------------
def follow_signer(
    frames: Iterable[Sequence[Person]],
    name: str,
    request: Request,
    followed: str | None = None,
    numbers: Sequence[int | None] | None = None,
) -> RawClip:
    """As `follow`, from the people of each frame."""
    return follow(_batches(frames, request), name, request, followed, numbers)


def _batches(frames: Iterable[Sequence[Person]], request: Request) -> Iterator[Detections]:
    rest = iter(frames)
    while batch := list(islice(rest, 256)):
        everyone = [someone for frame in batch for someone in frame]
        yield Detections(
            np.array([len(frame) for frame in batch]),
            np.array([someone.points for someone in everyone]).reshape(-1, NUM_JOINTS, 2),
            np.array([someone.scores for someone in everyone]).reshape(-1, NUM_JOINTS),
            np.array([someone.rank for someone in everyone]),
        )


def check_crowd(people: int, request: Request) -> None:
    """Raises TooLarge for more people in a frame than `MOST_PEOPLE`."""
    if people > MOST_PEOPLE:
        advice = f"signgen looks for the signer among {MOST_PEOPLE} at most; keep those with the best scores"
        raise request.error(f"{people} people in a frame", advice, TooLarge)


def follow(
    parts: Iterable[Detections],
    name: str,
    request: Request,
    followed: str | None = None,
    numbers: Sequence[int | None] | None = None,
) -> RawClip:
    """One person from frames of several: who was asked for, else who is the signer, see `worth`.

    Tracks join each detection to the nearest place of a track, at most one and a half shoulder widths a frame away.
    The chosen track is completed with tracks that never share a frame with it (the person was lost and found).
    A frame without the signer holds zeros. ``followed`` names what ranks are, where they are no scores.

    Args:
        numbers: of each frame, see `frame_numbers.timeline`. Looked at after the last part, so that a reader can add
            to it while it gives them.

    Raises:
        InputError: no frames, too many, more people in one than `MOST_PEOPLE`, or nobody of the wanted number.
    """
    places, hands = [np.zeros((0, 3))], [np.zeros((0, 4))]
    ranks, counts = [np.zeros(0)], [np.zeros(0, np.int64)]
    rows: Rows | None = None
    frames = seen = 0
    for part in parts:
        check_crowd(int(part.counts.max(initial=0)), request)
        counts.append(part.counts)
        place, reach = _places(part.points, part.scores)
        places.append(np.column_stack([place, reach]))
        hands.append(_wrists(part.points, part.scores, place, reach))
        ranks.append(np.asarray(part.ranks, np.float64))
        rows = rows or Rows((NUM_JOINTS, 3), np.result_type(part.points, part.scores, np.float32))
        rows.append(np.concatenate([part.points, part.scores[..., None]], -1))
        frames, seen = frames + len(part.counts), seen + int((part.counts > 0).sum())
        _check_length(frames, seen, request)
    if not frames or rows is None:
        raise request.error("no frames", "give a file with at least one frame", Empty)
    time = timeline(numbers, frames, request.subject)
    _check_length(time.length, seen, request)
    tracks = _Tracks(np.concatenate(counts), np.concatenate(places), np.concatenate(ranks), time)
    everybody = tracks.everybody(np.concatenate(hands))
    most = int(tracks.people.max())
    if most < 2 or not everybody:
        order = everybody[0].rows if everybody else np.full(time.length, -1)
        return RawClip(rows.array(), None, name, order=order, people=most, warnings=time.warnings)
    signer = _choose(everybody, request, tracks.middle)
    why = followed or f"mean score {signer.rank:.2f}"
    if request.person is not None:
        why = f"as asked for ({request.person})"
    stands, reach = np.array([one.place for one in everybody]), np.array([one.reach for one in everybody])
    lost = int(((signer.rows < 0) & (tracks.people > 0)).sum())
    crowd = Crowd(stands, reach, everybody.index(signer), why, tracks.people, lost)
    return RawClip(rows.array(), None, name, order=signer.rows, people=most, crowd=crowd, warnings=time.warnings)


def check_person(person: object) -> int | str:
    """A number from 1, or one of `PERSONS`; BadValue for anything else."""
    if isinstance(person, int) and not isinstance(person, bool) and person >= 1:
        return person
    if isinstance(person, str) and person in PERSONS:
        return person
    raise BadValue("--person", f"got {person!r}", f"give a number from 1 at the left, or {', '.join(PERSONS)}")


def no_such_person(subject: object, number: int, count: int) -> NotFound:
    """The error for a number that nobody has."""
    found = f"{count} {'person' if count == 1 else 'people'} found"
    return NotFound(subject, f"--person {number}, {found}", "they count from 1 at the left")


def pick_person(
    places: Sequence[float], sizes: Sequence[float], wanted: int | str, middle: float, subject: object
) -> int:
    """Which of some people, from the left to the right, is meant.

    Args:
        places: x of each. sizes: of each. wanted: see `check_person`. middle: x of the picture's middle.

    Raises:
        NotFound: there is nobody of this number.
    """
    if isinstance(wanted, int):
        if wanted > len(places):
            raise no_such_person(subject, wanted, len(places))
        return wanted - 1
    if wanted == "largest":
        return int(np.argmax(sizes))
    aim = {"left": -math.inf, "right": math.inf}.get(wanted)
    if aim is not None:
        return 0 if aim < 0 else len(places) - 1
    return int(np.argmin(np.abs(np.asarray(places) - middle)))


def _choose(everybody: list[Track], request: Request, middle: float) -> Track:
    """The wanted person, or the one of the highest worth."""
    if request.person is None:
        return max(everybody, key=lambda one: one.worth)
    sizes, places = [one.reach for one in everybody], [float(one.place[0]) for one in everybody]
    return everybody[pick_person(places, sizes, request.person, middle, request.subject)]


def worth(score: np.ndarray, size: np.ndarray, aside: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """How much each of some people (P,) looks like the signer, compared with the others.

    Who signs moves the hands. Interpreters stand aside and are shown small, next to somebody who is large and still:
    so movement weighs the most, and size and place decide between people who move alike.

    Args:
        score: of the detections; a doubtful person is mostly a mistake.
        size: width of the shoulders.
        aside: 0 in the picture's middle to 1 at its edge.
        moving: how far the hands go, standard deviation in shoulder widths.
    """
    moves = _STILL + np.minimum(moving, _MOVES)
    return score * np.sqrt(np.maximum(size, 1e-9)) * (1 - _ASIDE * np.clip(aside, 0, 1)) * moves


_STILL, _MOVES = 0.05, 0.5  # shoulder widths: what hands at rest count for, and from where on they count no more
_ASIDE = 0.4  # of its worth that somebody at the picture's edge loses


def _check_length(frames: int, seen: int, request: Request) -> None:
    if frames > MOST_FRAMES:
        raise request.error(f"more than {MOST_FRAMES:,} frames", "split it into clips", TooLarge)
    if frames - seen > _MOST_MISSED and 100 * seen < frames:
        raise request.error(
            f"nobody in {frames - seen:,} of {frames:,} frames", "cut it to where somebody signs", Empty
        )


@dataclass(frozen=True, eq=False)
class Track:
    """One person: the place, the width of the shoulders, the mean score, `worth`, and the detection of each frame."""

    place: np.ndarray
    reach: float
    rank: float
    worth: float
    rows: np.ndarray


_SELDOM = 0.1  # of the frames that show anybody: who is seen in fewer is not counted among the people
_LOST_AFTER = 50  # frames without a detection that end a track
_MOST_TRACKS = 4 * MOST_PEOPLE  # that are open at a time; those that were lost first are given up first
_FAR = 1.5  # shoulder widths between two frames of a track


class _Tracks:
    """Everybody's tracks, frame after frame.

    Args:
        counts: (N,) people in each frame of the file.
        places: (D,3) x, y and reach of each detection, of all frames one after the other; ranks: (D,).
        time: when each frame comes.

    Attributes:
        people: (T,) people in each frame of the clip.
    """

    def __init__(self, counts: np.ndarray, places: np.ndarray, ranks: np.ndarray, time: Timeline) -> None:
        self.people = np.zeros(time.length, np.int64)
        self.people[time.places] = counts
        self._places, self._ranks, self._count = places, ranks, 0
        self.left = min(0.0, float((places[:, 0] - places[:, 2]).min(initial=0)))  # of all that is seen
        self.right = max(0.0, float((places[:, 0] + places[:, 2]).max(initial=0)))
        self._open: list[tuple[int, int, float, float, float]] = []  # track, its last frame, place there, reach
        self._track, self._frame = array("q"), array("q")  # of each detection, in the order of time
        starts, order = np.cumsum(counts) - counts, np.argsort(time.places, kind="stable")
        rows = [np.zeros(0, np.int64)]
        for part in blocks(len(order)):
            frames = order[part]
            many = counts[frames]
            at = np.cumsum(many) - many
            rows.append(np.repeat(starts[frames] - at, many) + np.arange(many.sum()))
            everyone = list(zip(*places[rows[-1]].T.tolist(), ranks[rows[-1]].tolist(), strict=True))
            for t, first, count in zip(time.places[frames].tolist(), at.tolist(), many.tolist(), strict=True):
                if count:
                    self._add_frame(t, everyone[first : first + count])
        self._rows = np.concatenate(rows)

    def _add_frame(self, t: int, people: list[tuple[float, float, float, float]]) -> None:
        tracks = [track for track in self._open if t - track[1] <= _LOST_AFTER]
        mine = _joined(tracks, people)
        taken = set(mine)
        now = [track for i, track in enumerate(tracks) if i not in taken]
        for (x, y, reach, _), i in zip(people, mine, strict=True):
            number = tracks[i][0] if i >= 0 else self._count
            if i < 0:
                self._count += 1
            self._track.append(number)
            self._frame.append(t)
            now.append((number, t, x, y, reach))
        if len(now) > _MOST_TRACKS:
            now = sorted(now, key=lambda track: -track[1])[:_MOST_TRACKS]
        self._open = sorted(now)

    @property
    def middle(self) -> float:
        """x of the picture's middle, as far as points tell where its sides are."""
        return (self.left + self.right) / 2

    def everybody(self, hands: np.ndarray) -> list[Track]:
        """The people who are seen often, from the left to the right; the one of the highest worth is among them.

        Args:
            hands: (D,4) of each detection, see `_wrists`.
        """
        track, frame = np.array(self._track, np.int64), np.array(self._frame, np.int64)
        if not len(track):
            return []
        value = self._worths(track, hands[self._rows])
        ends = np.searchsorted(np.sort(track), np.arange(self._count + 1))
        by_track = np.argsort(track, kind="stable")
        rest = np.argsort(-value, kind="stable").tolist()
        people: list[Track] = []
        often = _SELDOM * (self.people > 0).sum()
        while rest and len(people) < MOST_PEOPLE:
            chosen, others, taken = np.full(len(self.people), -1), [], []
            for number in rest:
                rows = by_track[ends[number] : ends[number + 1]]
                if (chosen[frame[rows]] < 0).all():
                    chosen[frame[rows]] = self._rows[rows]
                    taken.append(self._rows[rows])
                else:
                    others.append(number)
            mine = np.concatenate(taken)
            if not people or len(mine) >= often:
                x, y, reach = np.median(self._places[mine], axis=0)
                rank = float(self._ranks[mine].mean())
                people.append(Track(np.array([x, y]), float(reach), rank, float(value[rest[0]]), chosen))
            rest = others
        return sorted(people, key=lambda one: float(one.place[0]))

    def _worths(self, track: np.ndarray, hands: np.ndarray) -> np.ndarray:
        """`worth` of each track; scores cubed and summed over frames, so that a sure detection of a part of the clip
        outweighs a doubtful one of all of it."""
        places, ranks = self._places[self._rows], self._ranks[self._rows]
        count = np.bincount(track, minlength=self._count)
        score = np.bincount(track, np.maximum(ranks, 1e-3) ** 3, self._count)
        x, reach = (np.bincount(track, places[:, column], self._count) / count for column in (0, 2))
        spread = np.zeros(self._count)
        for wrist in (hands[:, :2], hands[:, 2:]):
            seen = np.isfinite(wrist).all(1)
            many = np.maximum(np.bincount(track[seen], minlength=self._count), 1)
            variance = np.zeros(self._count)
            for along in wrist[seen].T:
                mean, square = (np.bincount(track[seen], along**power, self._count) / many for power in (1, 2))
                variance += np.maximum(square - mean**2, 0)
            spread = np.maximum(spread, np.sqrt(variance))
        half = max((self.right - self.left) / 2, 1e-9)
        return worth(score, reach, np.abs(x - self.middle) / half, spread)


def _wrists(points: np.ndarray, scores: np.ndarray, place: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(N,4) x and y of both wrists, seen from the middle of the shoulders, in shoulder widths; NaN where not seen."""
    seen = (scores >= CONFIDENT * np.minimum(1.0, np.fmax.reduce(scores, axis=1, initial=0.0))[:, None]) & (scores > 0)
    both = seen[:, SHOULDERS].all(1)
    middle = np.where(both[:, None], points[:, SHOULDERS].astype(np.float64).mean(1), place)
    away = (points[:, WRISTS].astype(np.float64) - middle[:, None]) / np.maximum(reach, 1e-9)[:, None, None]
    return np.where(seen[:, WRISTS][..., None], away, np.nan).reshape(len(points), 4)


def _joined(
    tracks: list[tuple[int, int, float, float, float]], people: list[tuple[float, float, float, float]]
) -> list[int]:
    """For each of the people the track that goes on with them, or -1: the nearest pairs first."""
    pairs = _near_pairs(tracks, people)
    mine = [-1] * len(people)
    taken: set[int] = set()
    for _, i, k in pairs:
        if i not in taken and mine[k] < 0:
            mine[k] = i
            taken.add(i)
    return mine


def _near_pairs(
    tracks: list[tuple[int, int, float, float, float]], people: list[tuple[float, float, float, float]]
) -> list[tuple[float, int, int]]:
    """Distance in shoulder widths, track and person of all that are near each other, the nearest first."""
    if len(tracks) * len(people) > 64:
        a, b = np.array(tracks)[:, 2:], np.array(people)[:, :3]
        apart = a[:, None, :2] - b[None, :, :2]
        scale = np.maximum(np.maximum(a[:, None, 2], b[None, :, 2]), 1e-9)
        distance = np.sqrt(apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1]) / scale
        i, k = np.nonzero(distance <= _FAR)
        return sorted(zip(distance[i, k].tolist(), i.tolist(), k.tolist(), strict=True))
    found = []
    for track, (_, _, x, y, reach) in enumerate(tracks):
        for someone, (px, py, other, _) in enumerate(people):
            dx, dy = x - px, y - py
            away = math.sqrt(dx * dx + dy * dy) / max(reach, other, 1e-9)
            if away <= _FAR:
                found.append((away, track, someone))
    return sorted(found)
