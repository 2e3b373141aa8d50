"""When things happen: what of a clip is kept, how fast it goes, where it stands still.

A clip of T frames lasts T / fps seconds, and frame t stands at t / fps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from signgen.errors import BadValue, Empty, TooLarge
from signgen.keypoints import Keypoints, filters
from signgen.keypoints.budget import MOST_FRAMES
from signgen.keypoints.repair.carry import as_complex, runs, steady
from signgen.keypoints.repair.proportions import measure
from signgen.keypoints.rows import Rows, blocks
from signgen.keypoints.skeleton import ARMS

EASE = 0.16  # seconds in which a movement comes to a stop, and starts again
SLOWEST, FASTEST = 0.05, 20.0  # speeds
LONGEST = 3600.0  # seconds of a hold or of a gap

# Of rests. Heights are in widths of the shoulders, below their middle: elbows are at 0.9, resting hands at 1.0 to 1.6.
LOW = 0.85  # a wrist from here on down may rest
LIFTED = 0.25  # a hand is on its way when it has left its rest by so much
USABLE = 0.2  # confidence from which a wrist counts
CALM = 6.0  # Hz, of the wrists' tracks
ONSET = 0.5  # seconds within which a lifted hand arrives where its sign begins
LIVELY = 0.8  # widths a second that the way up reaches at least
SOON = 0.12  # seconds: an estimator that loses a hand on its way finds it again as it slows down
RISES = 0.1  # in that time, of a hand that has not arrived
SLOWED = 0.3  # of the speed of the way up: where a hand is slower and no longer slows down, it has arrived


# --- what is kept ---------------------------------------------------------------------------------------------
def cut(clip: Keypoints, start: float | None, stop: float | None) -> Keypoints:
    """The frames from second ``start`` up to second ``stop``; None is the clip's own end.

    Raises:
        BadValue: no frame of the clip lies there.
    """
    first = 0 if start is None else round(start * clip.fps)
    last = len(clip) if stop is None else min(round(stop * clip.fps), len(clip))
    if not 0 <= first < last:
        got = f"got {'' if start is None else f'{start:g}'}:{'' if stop is None else f'{stop:g}'}"
        advice = f"{clip.name or 'the clip'} lasts {clip.seconds:.3g} s, write A:B in seconds with 0 <= A < B"
        raise BadValue("trim", got, advice)
    return clip[first:last]


def without_rests(clip: Keypoints) -> tuple[Keypoints, float, float]:
    """The sign alone: without hands that rest before and after it, and without their ways up and down.

    A clip begins in rest where both wrists of its first frame hang below the elbows or are not seen. What is kept
    begins where the hands that are lifted have arrived: where they slow down after their way up, at most half a second
    after they left, and where their points are seen, if that is soon. A hand that is lifted much later than the other
    does not count. The end is found as the beginning of the clip played backwards.

    Returns:
        What is kept, and the seconds that were cut at the start and at the end.

    Raises:
        Missing: no frame shows both shoulders.
        Empty: the hands never leave their rest.
    """
    wrists = _wrists(clip)
    resting = (np.isnan(wrists.heights) | (wrists.heights >= LOW)).all(1)
    first = _arrival(wrists, clip.fps) if resting[0] else 0
    after = _arrival(_Wrists(*(values[::-1] for values in wrists)), clip.fps) if resting[-1] else 0
    if first is None or after is None or first >= len(clip) - after:
        raise Empty(clip.name or "the clip", "the hands rest in all of it", "trim it by seconds, or leave it out")
    return clip[first : len(clip) - after], first / clip.fps, after / clip.fps


class _Wrists(NamedTuple):
    """(T,2) of both wrists, in widths of the shoulders: how far they hang below these, NaN unseen; speed a second; and
    whether the hand's points are there."""

    heights: np.ndarray
    speeds: np.ndarray
    shown: np.ndarray


def _wrists(clip: Keypoints) -> _Wrists:
    person = measure(clip.sample())
    wrists = _Wrists(np.full((len(clip), 2), np.nan), np.zeros((len(clip), 2)), np.zeros((len(clip), 2), bool))
    for side, arm in enumerate(ARMS):
        bodily = clip.confidence[:, arm.wrist] >= USABLE
        xy = np.where(bodily[:, None], clip.xy[:, arm.wrist], clip.xy[:, arm.hand.start])
        seen = (bodily | (clip.confidence[:, arm.hand.start] >= USABLE)) & (xy[:, 1] < clip.height)
        track = steady(as_complex(xy - person.middle) / person.shoulders, seen, clip.fps, CALM)
        wrists.heights[seen, side] = track.imag[seen]
        inner = seen[2:] & seen[1:-1] & seen[:-2]
        wrists.speeds[1:-1, side] = np.where(inner, np.abs(track[2:] - track[:-2]) / 2 * clip.fps, 0)
        wrists.shown[:, side] = (clip.confidence[:, arm.hand] >= USABLE).mean(1) >= 0.5
    return wrists


def _arrival(wrists: _Wrists, fps: float) -> int | None:
    """The frame at which the hands that leave their rest have arrived; None where both stay."""
    frames = lambda seconds: max(round(seconds * fps), 1)  # noqa: E731
    heights = wrists.heights
    seen = np.fmax.reduce(heights[: frames(0.2)], axis=0)
    unseen = np.fmax(np.fmax.reduce(heights, axis=0), LOW + LIFTED)  # a hand that comes from outside of the picture
    at_rest = np.where(np.isnan(seen), unseen, np.fmax(seen, LOW))
    lifted = np.nan_to_num(at_rest - heights, nan=-1.0) > LIFTED
    leaves = [[start for start, stop in runs(side) if stop - start >= frames(0.1)] for side in lifted.T]
    if not any(leaves):
        return None
    begin = min(starts[0] for starts in leaves if starts)
    ways = [(starts[0], side) for side, starts in enumerate(leaves) if starts and starts[0] - begin < frames(ONSET)]
    arrived = max(_slowed(heights[:, side], wrists.speeds[:, side], left, fps) for left, side in ways)
    near = wrists.shown[arrived : arrived + frames(SOON) + 1, [side for _, side in ways]].all(1)
    return arrived + (int(np.argmax(near)) if near.any() else 0)


def _slowed(heights: np.ndarray, speeds: np.ndarray, left: int, fps: float) -> int:
    """The frame at which a hand that was on its way in frame ``left`` has arrived.

    It is slow there, and rises no further: an estimator that loses a fast hand often has it stop half way.
    """
    begin, few = max(left - round(0.2 * fps), 0), max(round(SOON * fps), 1)
    last = min(left + max(round(ONSET * fps), 1), len(speeds) - 1)
    slowest = left
    for t in range(left, last):
        fastest = speeds[begin : t + 1].max()
        rises = heights[t] - np.fmin.reduce(heights[t : t + few + 1]) > RISES
        if fastest < LIVELY or rises or np.isnan(heights[t]):
            continue
        if speeds[t] <= SLOWED * fastest and speeds[t + 1] >= speeds[t]:
            return t
        slowest = t if slowest == left or speeds[t] < speeds[slowest] else slowest
    return slowest


# --- how fast it goes -----------------------------------------------------------------------------------------
def at_rate(clip: Keypoints, fps: float) -> Keypoints:
    """The same seconds at another rate, along curves through the frames."""
    return clip if fps == clip.fps else retimed(clip, fps=fps)


def retimed(
    clip: Keypoints, speed: float | None = None, duration: float | None = None,
    hold: tuple[float | None, float] | None = None, fps: float | None = None,
) -> Keypoints:  # fmt: skip
    """The clip faster or slower, with a stop, or at another rate. Missing points stay missing.

    Args:
        clip: the clip.
        speed: 2 is twice as fast.
        duration: seconds that the result lasts, its hold included; in the place of ``speed``.
        hold: (second of the result at which it stands still, None for its end; for how many seconds). The movement
            slows down before and speeds up after it, in `EASE` seconds each.
        fps: rate of the result; the clip's own otherwise.

    Raises:
        BadValue: values that are not above 0, a hold outside of the clip, or both ``speed`` and ``duration``.
        TooLarge: more frames than a clip may have.
    """
    fps, pace = fps or clip.fps, pace_of(clip, speed, duration, hold)
    frames = max(1, round((clip.seconds / pace.speed + pace.still) * fps))
    check_length(frames, clip.name or "the clip")
    times = np.arange(frames) / fps
    if pace.still:  # a hold of 0 seconds is none
        times = _with_hold(times, pace.at, pace.still)
    return _sampled(clip, times * pace.speed * clip.fps, fps)


class Pace(NamedTuple):
    """How fast a clip goes, and at which second of the result it stands still for how many."""

    speed: float
    at: float
    still: float

    def shown(self, second: float) -> float:
        """The second of the result at which a second of the clip is over."""
        moved = second / self.speed
        return moved + self.still if moved > self.at else moved


def pace_of(
    clip: Keypoints, speed: float | None, duration: float | None, hold: tuple[float | None, float] | None
) -> Pace:
    """What `retimed` does; its arguments and errors."""
    still = hold[1] if hold else 0.0
    _above_zero(speed, "speed", 0, FASTEST)
    _above_zero(still or None, "hold", 0, LONGEST)
    if duration is not None:
        _above_zero(duration, "duration", still, 86_400)
        if speed is not None:
            raise BadValue("duration", f"got {duration:g} with speed {speed:g}", "give one of the two")
        speed = clip.seconds / (duration - still)
        if not SLOWEST <= speed <= FASTEST:
            low, high = clip.seconds / FASTEST + still, clip.seconds / SLOWEST + still
            advice = f"{clip.name or 'the clip'} lasts {clip.seconds:.3g} s, give {low:.3g} to {high:.3g}"
            raise BadValue("duration", f"got {duration:g} seconds", advice)
    speed = speed or 1.0
    moving = clip.seconds / speed
    at = (len(clip) - 1) / clip.fps / speed if hold is None or hold[0] is None else hold[0]  # the last frame's second
    if not 0 <= at <= moving:
        raise BadValue("hold", f"got second {at:g}", f"{clip.name or 'the clip'} lasts {moving:.3g} s there")
    return Pace(speed, at, still)


def check_length(frames: int, subject: str) -> None:
    """`TooLarge` for more frames than a clip may have; asked before they are built."""
    if frames > MOST_FRAMES:
        advice = f"a clip has up to {MOST_FRAMES:,}; take less of it, shorter holds and gaps, or a lower rate"
        raise TooLarge(subject, f"would become {frames:,} frames", advice)


def _above_zero(value: float | None, what: str, low: float, high: float) -> None:
    if value is not None and not (math.isfinite(value) and low < value <= high):
        raise BadValue(what, f"got {value:g}", f"give a number above {low:g} and up to {high:g}")


def _with_hold(times: np.ndarray, at: float, seconds: float) -> np.ndarray:
    """The second of the movement that is shown at each of the times: it slows down, stands still and speeds up."""
    ease = min(EASE, seconds)
    since = times - (at - ease / 2)

    def eased(u: np.ndarray) -> np.ndarray:  # the integral of 1 - smoothstep(u / ease)
        x = np.clip(u / ease, 0, 1)
        return ease * (x - x**3 + x**4 / 2)

    slowing = at - ease / 2 + eased(since)
    starting = at + ease / 2 - eased(seconds + ease - since)
    held = np.where(since < seconds, slowing, starting)
    return np.where(since < 0, times, np.where(since >= seconds + ease, times - seconds, held))


def _sampled(clip: Keypoints, positions: np.ndarray, fps: float) -> Keypoints:
    """The clip at fractional frames (N,), which never go back, block by block."""
    positions = np.clip(positions, 0, len(clip) - 1)
    xy, confidence = Rows(clip.xy.shape[1:]), Rows(clip.confidence.shape[1:])
    for part in blocks(len(positions)):
        at = positions[part]
        first = max(int(at[0]) - 1, 0)
        piece = clip[first : int(at[-1]) + 3]
        points, scores = filters.along_curves(piece.xy, piece.confidence, at - first)
        xy.append(points)
        confidence.append(scores)
    return Keypoints(xy.array(), confidence.array(), clip.width, clip.height, fps, clip.name)
