"""What a reader gives before sizes, rates and units are known: one signer's points as they are in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import BadValue, Damaged, Empty, InputError, Missing, NotFound
from signgen.keypoints.budget import Budget
from signgen.keypoints.frame_numbers import numbers_in_names
from signgen.keypoints.rows import blocks, evenly, release
from signgen.keypoints.skeleton import NUM_JOINTS


@dataclass(frozen=True)
class Request:
    """What the user asked for: a file or folder, and a clip inside of it where there are several.

    ``first``: the first of several clips will do where ``clip`` names none. ``person``: which of several people, see
    `people.PERSONS`. ``notes`` collects what is said about the choice. ``budget``: what may be built of it.
    """

    path: Path
    clip: str | None = None
    first: bool = False
    person: int | str | None = None
    budget: Budget = field(default_factory=lambda: Budget("keypoints", 0), compare=False)
    notes: list[str] = field(default_factory=list, compare=False)

    @property
    def subject(self) -> str:
        return str(self.path)

    @property
    def frames_name(self) -> str:
        """The name of a folder of frames, or of an archive of them without its suffixes."""
        return self.path.name if self.path.is_dir() else self.path.name.split(".")[0] or self.path.name

    def error(self, got: str, advice: str, kind: type[InputError] = Damaged) -> InputError:
        return kind(self.subject, got, advice)


@dataclass(frozen=True)
class Folder:
    """A folder of one file a frame, in natural order; each file is read when it is asked for."""

    paths: list[Path]
    read: Callable[[Path], Any]

    def frames(self) -> Iterator[Any]:
        return map(self.read, self.paths)

    @cached_property
    def first(self) -> Any:
        return self.read(self.paths[0])

    @property
    def numbers(self) -> list[int] | None:
        """Of the frames, where their names differ in one number."""
        return numbers_in_names([path.name for path in self.paths])


@dataclass(frozen=True)
class Crowd:
    """Several people of a clip, from the left of the picture to the right.

    Attributes:
        places: (P,2) where each stands, in the file's units. reach: (P,) how wide the shoulders are.
        chosen: which of them the clip's points are of.
        why: what that one was chosen for.
        counts: (T,) people in each frame. lost: frames that show others only.
    """

    places: np.ndarray
    reach: np.ndarray
    chosen: int
    why: str
    counts: np.ndarray
    lost: int

    def line(self, to_pixels: Callable[[np.ndarray], np.ndarray], width: int) -> str:
        """One line on where everybody stands, who is followed, and how another one is taken."""
        across = np.stack([-self.reach, self.reach], axis=1)[..., None] / 2 * np.array([1.0, 0.0])
        ends = to_pixels(self.places[:, None] + across)  # (P,2,2)
        everybody = []
        for number, (left, right) in enumerate(ends[..., 0].tolist(), 1):
            middle = (left + right) / 2 / width
            where = "left" if middle < 1 / 3 else "right" if middle > 2 / 3 else "centre"
            everybody.append(f"{number} {where} (shoulders {right - left:.0f} px)")
        crowded = f"{(self.counts > 1).sum()} of {len(self.counts)} frames"
        text = (
            f"up to {self.counts.max()} people in a frame ({crowded}): {', '.join(everybody)};"
            f" follows {self.chosen + 1}, {self.why} (--person takes another)"
        )
        return text + (f", not seen in {self.lost} frames that show others" if self.lost else "")


@dataclass
class RawClip:
    """One signer's points as the file has them: pixels, or fractions of a frame (found by value).

    Attributes:
        points: (N,133,2) or more columns, any numbers.
        scores: (N,133); None: the third column where there is one, else whatever lies at a place is seen.
        order: which of the N each frame shows, -1 for none; None: each in turn.
        placed: False where points lie around the neck, as in `.skels`, or around the hips, and not in a frame: the neck
            is then at ``neck``, and shoulders are about ``shoulders`` apart.
        crowd: who else is there, where a frame shows several people.
        signed: see `formats.record.Format`.
        around_neck: whether files of the format have points around the neck more often than from -1 to 1.
    """

    points: np.ndarray
    scores: np.ndarray | None
    name: str
    size: tuple[int, int] | None = None
    fps: float | None = None
    people: int = 1
    placed: bool = True
    shoulders: float = 1.0
    neck: tuple[float, float] = (0.0, 0.0)
    order: np.ndarray | None = None
    crowd: Crowd | None = None
    signed: bool = True
    around_neck: bool = False
    warnings: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.points if self.order is None else self.order)

    def frames(self, which: slice | np.ndarray = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """float64 (T,133,2) and (T,133) of some frames; zeros where nobody is."""
        rows: Any = which if self.order is None else self.order[which]
        if not len(self.points) and self.order is not None:
            return np.zeros((len(rows), NUM_JOINTS, 2)), np.zeros((len(rows), NUM_JOINTS))
        if self.order is not None and len(rows) and rows[0] >= 0 and (np.diff(rows) == 1).all():
            rows = slice(int(rows[0]), int(rows[-1]) + 1)
        points = np.asarray(self.points[rows])
        xy = points[..., :2].astype(np.float64)
        if self.scores is not None:
            scores = self.scores[rows].astype(np.float64)
        else:
            scores = points[..., 2].astype(np.float64) if points.shape[-1] > 2 else seen_where_placed(points)
        if not isinstance(rows, slice):
            xy[rows < 0], scores[rows < 0] = 0, 0
        release(self.points, self.scores)
        return xy, scores

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All frames, some at a time; a place of (0,0) is how estimators mark a missing point, whatever its score."""
        for part in blocks(len(self)):
            xy, scores = self.frames(part)
            yield xy, np.where((xy == 0).all(-1), 0, scores)

    def sample(self, most: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
        """As one block: all frames of a usual clip, some that are evenly spread of a long one."""
        chosen = evenly(len(self), most)
        parts = [chosen] if isinstance(chosen, slice) else np.array_split(chosen, len(chosen) // 512)
        xy, scores = (np.concatenate(side) for side in zip(*map(self.frames, parts), strict=True))
        return xy, np.where((xy == 0).all(-1), 0, scores)


def seen_where_placed(xy: np.ndarray) -> np.ndarray:
    """Scores (..., J) for points without any: 1, but 0 for the marks of a missing point, (0,0) and (-1,-1)."""
    missing = (xy[..., :2] == 0).all(-1) | (xy[..., :2] == -1).all(-1)
    return np.where(missing, 0.0, 1.0)


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


def check_only_clip(request: Request, *names: str) -> None:
    """`NotFound` where a clip is asked of a file that holds one, and it is not called so, nor is the file."""
    known = {*(name.rsplit("/", 1)[-1] for name in names), request.path.stem, request.path.name, request.frames_name}
    if request.clip is not None and request.clip.rsplit("/", 1)[-1] not in known:
        called = names[0] if names else request.frames_name
        raise request.error(f"one clip, {called}, and not {request.clip}", "leave --clip out", NotFound)


def _some(names: Sequence[str], count: int = 3) -> str:
    listed = ", ".join(name[:80] for name in names[:count])
    return listed + (", ..." if len(names) > count else "")
