"""The numbers that frames carry in files and in file names: they say which frame comes when, and which is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np

from signgen.errors import TooLarge
from signgen.keypoints.budget import MOST_FRAMES

_FARTHEST = 1 << 53  # numbers beyond are cut to this, so that they fit into 64 bits
_ENOUGH = 8  # frames from which a common step between all numbers is believed to be one
_REGULAR = 0.9  # share of the steps that are multiples of it
_NAMED = 3  # holes that are named one by one
_KEYS = ("frameid", "frame", "framenumber", "frameindex", "frameidx", "frameno", "imageid", "index")


@dataclass(frozen=True)
class Timeline:
    """When each frame of a file comes.

    Attributes:
        places: int64 (N,), of each frame of the file, from 0.
        length: frames of the clip, holes included.
        warnings: which numbers are not there.
    """

    places: np.ndarray
    length: int
    warnings: list[str] = field(default_factory=list)


def number_of(value: Any) -> int | None:
    """A frame's number as a file gives it, also as text; None for what is no whole number."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:300])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        return None
    return max(-_FARTHEST, min(int(value), _FARTHEST))


def number_in(frame: Mapping[Any, Any]) -> int | None:
    """The number that a frame carries below one of the usual keys, whatever their case."""
    names = {key.lower().replace("_", ""): key for key in frame if isinstance(key, str)}
    said = (number_of(frame[names[name]]) for name in _KEYS if name in names)
    return next((number for number in said if number is not None), None)


def numbers_in_names(names: Sequence[str]) -> list[int] | None:
    """Of names that differ in one number alone, that number; None where nothing, or more than that, changes.

    Example:
        >>> numbers_in_names(["cam2_0007.json", "cam2_0009.json"])
        [7, 9]
    """
    pieces = [re.split(r"([0-9]+)", name) for name in names]
    if len({len(piece) for piece in pieces}) != 1 or len({tuple(piece[::2]) for piece in pieces}) != 1:
        return None
    changing = [digits for digits in zip(*(piece[1::2] for piece in pieces), strict=True) if len(set(digits)) > 1]
    if len(changing) != 1 or any(len(digits) > 300 for digits in changing[0]):
        return None
    return [min(int(digits), _FARTHEST) for digits in changing[0]]


def timeline(numbers: Sequence[int | None] | None, count: int, subject: str) -> Timeline:
    """Numbers put ``count`` frames of a file into order, and what they jump over is time in which nobody is seen.

    Where frames have no numbers, or several the same, they come in turn. Where (nearly) all numbers lie the same step
    apart they count something finer than these frames, which come in turn, too. A few frames without a number among
    others that have rising ones lie between their neighbours.

    Raises:
        TooLarge: the numbers span more frames than a clip may have.
    """
    in_turn = np.arange(count)
    if numbers is None or len(numbers) != count or all(number is None for number in numbers) or count < 2:
        return Timeline(in_turn, count)
    given, said = _whole(numbers)
    if given is None:
        return Timeline(in_turn, count, said)
    order = np.argsort(given, kind="stable")
    ordered = given[order]
    steps = np.diff(ordered)
    if not steps.all():
        twice = int(ordered[:-1][steps == 0][0])
        return Timeline(in_turn, count, [f"frame number {twice} occurs twice; frames are taken in file order"])
    step = _common_step(steps)
    if step > 1:
        listed = ", ".join(map(str, ordered[:3].tolist()))
        counted = f"frames are numbered in steps of {step} ({listed}, ...)"
        said.append(f"{counted}: taken as one after the other; --fps gives their rate")
        steps = np.maximum(np.round(steps / step), 1).astype(np.int64)
    places = np.zeros(count, np.int64)
    places[order[1:]] = np.cumsum(steps)
    length = int(places.max()) + 1
    if length > MOST_FRAMES:
        got = f"frame numbers from {ordered[0]} to {ordered[-1]} for {count:,} frames"
        raise TooLarge(subject, got, f"number them one by one; a clip has up to {MOST_FRAMES:,} frames")
    if length > count:
        said.append(_holes(ordered, step, length - count, length))
    return Timeline(places, length, said)


def _whole(numbers: Sequence[int | None]) -> tuple[np.ndarray | None, list[str]]:
    """int64 (N,) numbers with those that are not there, None where they cannot be told; and what is to be said."""
    there = np.array([number is not None for number in numbers])
    given = np.array([number for number in numbers if number is not None], np.int64)
    if there.all():
        return given, []
    lacking = f"{(~there).sum()} of {len(there)} frames have no number"
    at, steps = np.flatnonzero(there), np.diff(given)
    if len(given) > 1 and (steps >= np.diff(at)).all():  # they rise, and leave room for those between them
        step = float(np.median(steps // np.diff(at)))
        before, after = given[0] - step * (at[0] + 1), given[-1] + step * (len(there) - at[-1])
        whole = np.interp(np.arange(len(there)), [-1, *at, len(there)], [before, *given, after])
        whole = np.clip(np.round(whole), -_FARTHEST, _FARTHEST)
        return whole.astype(np.int64), [f"{lacking}; they lie between their neighbours"]
    return None, [f"{lacking}, and no place between their neighbours; frames are taken in file order"]


def _common_step(steps: np.ndarray) -> int:
    """The step of numbers that count something finer than frames, by the steps (N-1,) between them in order; else 1.

    Milliseconds lie 33 and 34 apart, so a quarter of the step is allowed.
    """
    step = int(np.median(steps))
    if step < 2 or len(steps) + 1 < _ENOUGH:
        return 1
    off = np.abs(steps - step * np.maximum(np.round(steps / step), 1))
    return step if (off <= step // 4).mean() >= _REGULAR else 1


def _holes(ordered: np.ndarray, step: int, missing: int, length: int) -> str:
    after = np.flatnonzero(np.diff(ordered) >= 1.5 * step)
    spans = [(int(ordered[i]) + step, int(ordered[i + 1]) - step) for i in after[:_NAMED]]
    listed = ", ".join(str(low) if low >= high else f"{low} to {high}" for low, high in spans)
    more = f" and {len(after) - _NAMED} more holes" if len(after) > _NAMED else ""
    where = f"frame numbers {listed}{more} are missing"
    return f"{where}: {missing} of {length} frames are time without a person (--fill-gaps bridges short ones)"
