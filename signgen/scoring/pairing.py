"""Which generated clip is compared with which true one, and what happens where they do not fit together.

Nothing is dropped, cut or scaled unless an option says so, and what was is counted and said in a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from signgen.errors import BadValue, Mismatch, NotFound
from signgen.keypoints import Keypoints
from signgen.scoring.clips import ClipSet, KeypointFile, VideoClip, check_given, file_of_many, find_clips, keypoints_of

USUAL_FPS = 25.0  # of data sets in PHOENIX14T's layout, whose frames say none
_SHOWN = 5  # mismatches that an error spells out; the rest are counted


@dataclass(frozen=True)
class Rules:
    """What to do with clips that do not fit.

    Attributes:
        names: ``error``, or ``common``: compare the clips that all sides have.
        lengths: ``error``, or ``common``: compare the first frames, as many as all sides have.
        sizes: ``error``, or ``resize``: scale generated frames and keypoints to the true frames' size.
    """

    names: str = "error"
    lengths: str = "error"
    sizes: str = "error"

    def __post_init__(self) -> None:
        for name, other in (("names", "common"), ("lengths", "common"), ("sizes", "resize")):
            if getattr(self, name) not in ("error", other):
                raise BadValue(f"--{name}", f"got {getattr(self, name)!r}", f"choose error or {other}")


@dataclass(frozen=True)
class Pair:
    """A true clip and what the systems made of it.

    Attributes:
        systems: the generated clip, and that of the second system where there is one.
        frames: how many frames are compared, from the first on.
        keypoints: of the true clip.
        rate: frames per second of the true clip, as its file, its keypoints or its kind of data set say; None: unknown.
    """

    name: str
    true: VideoClip
    systems: tuple[VideoClip, ...]
    frames: int
    keypoints: KeypointFile | None
    rate: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the true frames, in which everything is measured."""
        return self.true.info.size

    @property
    def fps(self) -> float:
        """The true clip's rate, else the first system's that is known, else 25."""
        return next((rate for rate in (self.rate, *(clip.info.fps for clip in self.systems)) if rate), USUAL_FPS)

    def generated(self, system: int = 0) -> Iterator[np.ndarray]:
        """A system's frames, (H,W,3) uint8, in the true frames' size."""
        clip = self.systems[system]
        for frame in clip.read(self.frames):
            if clip.info.size == self.size:
                yield frame
            else:
                yield np.asarray(Image.fromarray(frame).resize(self.size, Image.Resampling.BICUBIC))

    def read_keypoints(self) -> Keypoints | None:
        """The keypoints in the true frames' pixels, as many as frames are compared."""
        if self.keypoints is None:
            return None
        keypoints = self.keypoints.examine(self.size).keypoints[: self.frames]
        return keypoints if keypoints.size == self.size else keypoints.resized(*self.size)


@dataclass
class Plan:
    """The pairs of an evaluation, and what was done to make them fit."""

    pairs: tuple[Pair, ...]
    split: str | None
    counts: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def make_plan(
    systems: Sequence[str | Path],
    reference: str | Path,
    *,
    keypoints: str | Path | None = None,
    split: str | None = None,
    limit: int | None = None,
    rules: Rules = Rules(),
) -> Plan:
    """Finds the clips, matches them by name and checks that they fit.

    Args:
        systems: one or two paths of generated clips.
        limit: only the first so many clips of the reference.

    Raises:
        InputError: a path holds no clips, or clips do not fit and no rule covers it: all of it in one line.
    """
    given = check_given(keypoints)
    true = find_clips(reference, split)
    made = [find_clips(path, split or true.split, partial=True) for path in systems]
    if split is not None and all(clips.split is None for clips in (true, *made)):
        raise Mismatch("--split", f"got {split}, but there is no data set", "leave it out for videos and folders")
    plan = Plan((), true.split)
    problems = _Problems()
    rows = _match(true, made, limit, rules, plan, problems)
    problems.raise_if_any(made[0].path)
    many = file_of_many(given)
    plan.pairs = tuple(_fit(row, keypoints_of(true, row[0], given, many), rules, problems) for row in rows)
    problems.raise_if_any(made[0].path)
    if given is not None and not any(pair.keypoints for pair in plan.pairs):
        got = f"holds keypoints of none of the clips, such as {listed([pair.name for pair in plan.pairs])}"
        raise NotFound(given, got, "give one file per clip, named as the clip")
    _record(plan, problems)
    return plan


class _Problems:
    """Everything that does not fit, by kind, so that one error can list it and one warning can tell its treatment."""

    def __init__(self) -> None:
        self.open: dict[str, tuple[list[str], str]] = {}
        self.treated: dict[str, list[str]] = {}
        self.frames_left_out = 0
        self.remarks: list[str] = []  # of clips whose keypoints were not taken as they are

    def add(self, kind: str, item: str, advice: str, treat: bool) -> None:
        if treat:
            self.treated.setdefault(kind, []).append(item)
        else:
            self.open.setdefault(kind, ([], advice))[0].append(item)

    def raise_if_any(self, subject: Path) -> None:
        if self.open:
            got = "; ".join(f"{len(items)} {kind}: {listed(items)}" for kind, (items, _) in self.open.items())
            advice = dict.fromkeys(advice for _, advice in self.open.values())
            raise Mismatch(subject, f"does not fit the reference: {got}", "; ".join(advice))


def listed(items: Sequence[str]) -> str:
    """The first few items, and how many there are beyond."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


# --- names ----------------------------------------------------------------------------------------------------------
Row = tuple[VideoClip, tuple[VideoClip, ...]]


def _match(
    true: ClipSet, made: Sequence[ClipSet], limit: int | None, rules: Rules, plan: Plan, problems: _Problems
) -> list[Row]:
    """Clips of one name side by side, in the reference's order."""
    if true.single and all(clips.single for clips in made):
        return [(true.clips[0], tuple(clips.clips[0] for clips in made))]
    for clips in (true, *made):
        if clips.single:
            other = next(c for c in (true, *made) if not c.single)
            got = f"is one clip, {other.path} holds {len(other.clips)}"
            raise Mismatch(clips.path, got, "give two videos, or two folders of clips")
    _report_names(true, made, limit, rules, problems)
    by_name = [{clip.name: clip for clip in clips.clips} for clips in made]
    rows = [(t, tuple(names[t.name] for names in by_name)) for t in true.clips if all(t.name in n for n in by_name)]
    if not rows and not problems.open:
        got = f"shares no clip name with {true.path}, such as {listed(true.names)}"
        raise Mismatch(made[0].path, got, "name the generated clips as the true ones")
    plan.counts["clips_left_out"] = len(set(true.names).union(*by_name)) - len(rows) if rules.names == "common" else 0
    return rows[:limit]


def _report_names(true: ClipSet, made: Sequence[ClipSet], limit: int | None, rules: Rules, problems: _Problems) -> None:
    """Clips that one side lacks; beyond the limit a system need not have them."""
    treat, advice = rules.names == "common", "give --names common to compare the clips that both have"
    for clips in made:
        names = set(clips.names)
        wanted = true.names if treat else true.names[:limit]
        for name in wanted:
            if name not in names:
                problems.add(f"clips missing in {clips.path}", name, advice, treat)
        for name in clips.names:
            if name not in set(true.names):
                problems.add(f"clips of {clips.path} missing in the reference", name, advice, treat)


# --- sizes and lengths ----------------------------------------------------------------------------------------------
def _fit(row: Row, found: KeypointFile | None, rules: Rules, problems: _Problems) -> Pair:
    """One pair, its misfits noted; ``found``: the keypoints of its true clip."""
    clip, made = row
    lengths = [clip.info.frames, *(other.info.frames for other in made)]
    _check_sizes(clip, made, rules, problems)
    rate = clip.info.fps
    if found is not None:
        count, said = _check_keypoints(clip, found, rules, problems)
        lengths.append(count)
        rate = rate or said
    rate = rate or (USUAL_FPS if clip.entry is not None else None)
    for other in made:
        if rate and other.info.fps and abs(rate - other.info.fps) > 0.01:
            problems.add("clips of another rate", f"{clip.name} ({other.info.fps:g} and {rate:g} fps)", "", True)
    frames = min(lengths)
    if len(set(lengths)) > 1:
        text = f"{clip.name} ({' and '.join(map(str, _each(lengths)))} frames)"
        advice = "give --lengths common to compare the first frames, as many as all have"
        problems.add("clips of unequal length", text, advice, rules.lengths == "common")
        problems.frames_left_out += lengths[0] - frames
    return Pair(clip.name, clip, made, frames, found, rate)


def _check_sizes(clip: VideoClip, made: Iterable[VideoClip], rules: Rules, problems: _Problems) -> None:
    for other in made:
        if other.info.size != clip.info.size:
            text = f"{clip.name} ({_by(other.info.size)}, the true one {_by(clip.info.size)})"
            advice = "give --sizes resize to scale generated frames to the true size"
            problems.add("clips of another size", text, advice, rules.sizes == "resize")


def _check_keypoints(
    clip: VideoClip, found: KeypointFile, rules: Rules, problems: _Problems
) -> tuple[int, float | None]:
    """How many frames the keypoints have, and their rate where the file says it."""
    examined = found.examine(clip.info.size)
    keypoints = examined.keypoints
    if examined.warnings:
        problems.remarks.append(f"{clip.name} ({'; '.join(examined.warnings)})")
    if keypoints.size != clip.info.size:
        text = f"{clip.name} ({_by(keypoints.size)}, the true frames {_by(clip.info.size)})"
        advice = "give --sizes resize to scale the keypoints"
        problems.add("keypoints of another frame size", text, advice, rules.sizes == "resize")
    return len(keypoints), keypoints.fps if examined.fps_known else None


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _each(lengths: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(lengths))


# --- what was done --------------------------------------------------------------------------------------------------
_DONE = {
    "clips of unequal length": "only their common first frames were compared",
    "clips of another size": "generated frames were scaled to the true size (bicubic)",
    "clips of another rate": "frames were compared by their number",
    "keypoints of another frame size": "they were scaled to the true frames",
}


def _record(plan: Plan, problems: _Problems) -> None:
    """Counts and warnings of what the rules allowed, and of clips without keypoints."""
    for kind, items in problems.treated.items():
        plan.warnings.append(f"{len(items)} {kind}, {_DONE.get(kind, 'they were left out')}: {listed(items)}")
    if problems.remarks:
        plan.warnings.append(f"keypoints of {len(problems.remarks)} clips were changed: {listed(problems.remarks)}")
    without = [pair.name for pair in plan.pairs if pair.keypoints is None]
    if 0 < len(without) < len(plan.pairs):
        plan.warnings.append(f"{len(without)} clips have no keypoints, their hands were not scored: {listed(without)}")
    plan.counts = {
        "clips": len(plan.pairs),
        "clips_left_out": plan.counts.get("clips_left_out", 0),
        "clips_resized": len(problems.treated.get("clips of another size", ())),
        "clips_without_keypoints": len(without),
        "frames": sum(pair.frames for pair in plan.pairs),
        "frames_left_out": problems.frames_left_out,
    }
