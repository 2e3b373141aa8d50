"""The movement between two clips: minimum jerk from the last frame of one to the first of the next.

Flash and Hogan, "The coordination of arm movements", Journal of Neuroscience 5 (1985): people move their hands so that
the integral of the squared third derivative is smallest, which is a polynomial of degree five in time. It begins and
ends with the speeds and accelerations that the clips have there. What follows it are, from the shoulders on:

- directions of upper arms and forearms in space, and their lengths, where a body can be fitted;
- the joint angles of a hand with an anatomy (`signgen.pose_image.solid`), with what its points were off the fit;
- positions of all else, seen from what it hangs on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from signgen.editing.parts import person_of
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import ARMS, Arm
from signgen.pose_image.solid import HandFitter
from signgen.pose_image.solid.hand import anatomy
from signgen.pose_image.solid.kinematics import limit
from signgen.pose_image.solid.tracking import Poses, pose_points

# Seconds of a transition: measured on 186 movements of hands between two stops in nine real clips, their median is
# 0.18 s and 0.19 s more for each width of the shoulders; their peak speed is 1.9 times the mean (minimum jerk: 1.875).
LEAST, PER_WIDTH, MOST = 0.18, 0.19, 1.0
STOP = 0.5  # seconds in which the movement at a clip's end dies out, in a gap that is longer
ENDS = 0.16  # seconds of a clip's end by which its speed and acceleration are known
FITTED = 1.2  # seconds of a clip to which arms and hands are fitted: a fit gets better with the frames
BELIEVED = 0.5  # strength from which a fit counts
# Of a hand's size, by which its points lie apart at most where it looks the same at both ends. It is then not turned
# over between them, whatever its fits say: palm and back may look the same in the picture.
ALIKE = 0.25
FRONT = np.array([0.0, 0.0, -0.2])  # arms rather move past the body in front of it


# --- one curve ------------------------------------------------------------------------------------------------
def between(
    before: np.ndarray, after: np.ndarray, known: tuple[np.ndarray, np.ndarray], count: int, stop: int
) -> np.ndarray:
    """``count`` frames of minimum jerk from the last frame of ``before`` to the first one of ``after``.

    Args:
        before, after: (K,N,D) some frames beside the gap, by which speed and acceleration are known there.
        known: bool (K,N) of both: where they hold. The frames next to the gap are taken to.
        count: frames of the gap.
        stop: frames in which the movement at either end dies out, where the gap is longer.

    Returns:
        float64 (count,N,D).
    """
    steps = count + 1
    start, end = before[-1], after[0]
    there, back = _leaving(before[::-1], known[0][::-1]), _leaving(after, known[1])
    t = np.arange(1, steps, dtype=np.float64)
    out, stopped = _dying_out(*there, t, min(steps, stop))
    into, from_ = _dying_out(*back, steps - t, min(steps, stop))
    s = (t / steps)[:, None, None]
    share = s**3 * (10 - 15 * s + 6 * s**2)
    return start + out + share * (end + from_ - start - stopped) + into - from_


def _leaving(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Speed and acceleration (N,D) a frame with which the first of some frames (K,N,D) leaves those after it.

    They are the parabola through that frame that is nearest to the others; a line where fewer than five frames are
    known without a hole.
    """
    run = np.cumprod(known, axis=0).sum(0)  # (N,)
    speed, acceleration = np.zeros((2, *values.shape[1:]))
    for length in range(2, len(values) + 1):
        chosen = run == length
        if chosen.any():
            t = -np.arange(1.0, length)
            terms = np.stack([t, t**2 / 2], 1)[:, : 2 if length >= 5 else 1]
            way = values[1:length, chosen] - values[0, chosen]
            solved = np.einsum("pk,knd->pnd", np.linalg.pinv(terms), way)
            speed[chosen] = solved[0]
            acceleration[chosen] = solved[1] if length >= 5 else 0
    return speed, acceleration


def _dying_out(
    speed: np.ndarray, acceleration: np.ndarray, t: np.ndarray, steps: float
) -> tuple[np.ndarray, np.ndarray]:
    """The way (T,N,D) at frames t of a movement that comes to rest within some steps, and where it ends (N,D).

    With minimum jerk to there it is the polynomial of degree five of Flash and Hogan: both parts together have its
    values, speeds and accelerations at both ends.
    """
    a, b = -speed - 2 / 3 * acceleration * steps, (speed + acceleration * steps / 2) / 2
    x = np.minimum(t, steps)[:, None, None]
    way = speed * x + acceleration * x**2 / 2 + a * x**3 / steps**2 + b * x**4 / steps**3
    return way, steps * (speed / 2 + acceleration * steps / 12)


# --- directions and turns as vectors --------------------------------------------------------------------------
def _directions_between(before: np.ndarray, after: np.ndarray, count: int, stop: int) -> np.ndarray:
    """As `between` for unit vectors (K,3): by the shorter way round the sphere, and rather before the body."""
    middle = before[-1] + after[0] + FRONT
    middle = middle / max(np.linalg.norm(middle), 1e-9)

    def flat(directions: np.ndarray) -> np.ndarray:
        along = np.clip(directions @ middle, -1, 1)[:, None]
        aside = directions - along * middle
        length = np.linalg.norm(aside, axis=1, keepdims=True)
        return (aside * np.where(length > 1e-9, np.arccos(along) / np.maximum(length, 1e-9), 1))[:, None]

    path = between(flat(before), flat(after), _all_known(before, after), count, stop)[:, 0]
    angle = np.linalg.norm(path, axis=1, keepdims=True)
    return np.cos(angle) * middle + np.sinc(angle / np.pi) * path


def _turns_between(before: np.ndarray, after: np.ndarray, count: int, stop: int) -> np.ndarray:
    """As `between` for rotations (K,3,3), by the shorter way."""
    start, end = Rotation.from_matrix(before[-1]), Rotation.from_matrix(after[0])
    middle = start * Rotation.from_rotvec((start.inv() * end).as_rotvec() / 2)
    flat = [(middle.inv() * Rotation.from_matrix(side)).as_rotvec()[:, None] for side in (before, after)]
    path = between(flat[0], flat[1], _all_known(before, after), count, stop)[:, 0]
    return (middle * Rotation.from_rotvec(path)).as_matrix()


def _plainly_between(before: np.ndarray, after: np.ndarray, count: int, stop: int) -> np.ndarray:
    """As `between` for values (K,...) that are all known."""
    flat = [side.reshape(len(side), 1, -1) for side in (before, after)]
    return between(flat[0], flat[1], _all_known(before, after), count, stop).reshape(count, *before.shape[1:])


def _all_known(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((len(before), 1), bool), np.ones((len(after), 1), bool)


# --- the body -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _End:
    """Some frames at the end of a clip, or at the start of one: float64 xy (K,133,2), bool seen (K,133), the fits."""

    xy: np.ndarray
    seen: np.ndarray
    fits: Poses


def _end(clip: Keypoints, of_start: bool) -> _End:
    """The frames of a clip beside a gap, with arms and hands fitted to it up to there, or from there on backwards."""
    many, few = (max(round(seconds * clip.fps), least) for seconds, least in ((FITTED, 5), (ENDS, 4)))
    piece = clip[:many][::-1] if of_start else clip[max(len(clip) - many, 0) :]
    fits = HandFitter(piece.size, None).fit(piece.xy, piece.confidence).poses
    order = slice(None, -few - 2, -1) if of_start else slice(-few - 1, None)
    return _End(
        piece.xy[order].astype(np.float64), piece.confidence[order] > 0, Poses(*(values[order] for values in fits))
    )


class _Transition:
    """The frames between two ends, float64 ``xy`` (count,133,2): positions first, then what hangs on them."""

    def __init__(self, before: _End, after: _End, count: int, stop: int) -> None:
        self.before, self.after, self.count, self.stop = before, after, count, stop
        self.both = before.seen[-1] & after.seen[0]
        self.xy = between(before.xy, after.xy, (before.seen, after.seen), count, stop)
        for side, arm in enumerate(ARMS):
            self._arm(side, arm)
            self._hand(side, arm)

    def _sides(self, take: Callable[[_End], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return take(self.before), take(self.after)

    def _fitted(self, side: int, least: float) -> tuple[slice, slice] | None:
        """The frames next to the gap that have a fit of this side and of some strength; None where one end has none."""
        strong = [(end.fits.length[:, side] > 0) & (end.fits.strength[:, side] >= least)
                  for end in (self.before, self.after)]  # fmt: skip
        if not (strong[0][-1] and strong[1][0]):
            return None
        first, last = np.cumprod(strong[0][::-1]).sum(), np.cumprod(strong[1]).sum()
        return slice(len(strong[0]) - int(first), None), slice(int(last))

    def _arm(self, side: int, arm: Arm) -> None:
        """Upper arm and forearm: directions in space, and lengths, one after the other from the shoulder."""
        joints = [arm.shoulder, arm.elbow, arm.wrist]
        fitted = self._fitted(side, 0)
        if fitted is None or not self.both[joints].all():
            return
        frames = [
            part if end.seen[part][:, joints].all() else nearest
            for part, end, nearest in zip(fitted, (self.before, self.after), (slice(-1, None), slice(1)), strict=True)
        ]
        bones, metres = [], []
        for end, part in zip((self.before, self.after), frames, strict=True):
            metre = np.abs(end.fits.scale[part, side]) / end.fits.length[part, side, None]  # (K,2) pixels
            along = end.fits.forearm[part, side] @ anatomy().forearm[0]
            wrist = end.fits.depth[part, side]
            depth = np.stack([np.zeros(len(wrist)), wrist - anatomy().body[2] * along[:, 2], wrist], 1)
            places = np.concatenate([end.xy[part][:, joints] / metre[:, None], depth[..., None]], -1)
            bones.append(np.diff(places, axis=1))
            metres.append(metre)
        metre = _plainly_between(metres[0], metres[1], self.count, self.stop)
        place = self.xy[:, arm.shoulder]
        for bone, joint in enumerate(joints[1:]):
            vectors = [side_bones[:, bone] for side_bones in bones]
            lengths = [np.linalg.norm(values, axis=1, keepdims=True) for values in vectors]
            ways = [values / np.maximum(length, 1e-9) for values, length in zip(vectors, lengths, strict=True)]
            length = np.maximum(_plainly_between(lengths[0], lengths[1], self.count, self.stop), 0)
            place = place + metre * (_directions_between(ways[0], ways[1], self.count, self.stop) * length)[:, :2]
            self.xy[:, joint] = place

    def _hand(self, side: int, arm: Arm) -> None:
        """The root beside the arm's wrist, and the other points as seen from it."""
        root = arm.hand.start
        if not self.both[root]:
            return
        if self.both[arm.wrist]:
            self.xy[:, root] = self.xy[:, arm.wrist] + self._seen_from(arm.wrist, slice(root, root + 1))[:, 0]
        seen_from_root = self._seen_from(root, arm.hand)
        posed = self._posed(side, arm)
        self.xy[:, arm.hand] = self.xy[:, root, None] + (seen_from_root if posed is None else posed)

    def _seen_from(self, joint: int, points: slice) -> np.ndarray:
        """(count,N,2) of some points, as seen from a joint."""
        relative = self._sides(lambda end: end.xy[:, points] - end.xy[:, joint, None])
        known = self._sides(lambda end: end.seen[:, points] & end.seen[:, joint, None])
        return between(*relative, known, self.count, self.stop)

    def _posed(self, side: int, arm: Arm) -> np.ndarray | None:
        """(count,21,2) of a hand as seen from its root, by joint angles; None where no fit is believed."""
        frames = self._fitted(side, BELIEVED)
        if frames is None or self._alike(side, arm):
            return None
        ends = [Poses(*(values[part, side] for values in end.fits))
                for end, part in zip((self.before, self.after), frames, strict=True)]  # fmt: skip
        angles = _plainly_between(ends[0].angles, ends[1].angles, self.count, self.stop)
        forearms = _turns_between(ends[0].forearm, ends[1].forearm, self.count, self.stop)
        scales = _plainly_between(ends[0].scale, ends[1].scale, self.count, self.stop)
        for values in angles:
            limit(values, anatomy().low, anatomy().high)
        off = []
        for end, fits, part in zip((self.before, self.after), ends, frames, strict=True):
            seen = end.xy[part, arm.hand] - end.xy[part, arm.hand.start, None]
            off.append(seen - _points(fits.angles, fits.forearm, fits.scale))
        known = tuple(end.seen[part, arm.hand] for end, part in zip((self.before, self.after), frames, strict=True))
        left = between(off[0], off[1], known, self.count, self.stop)  # type: ignore[arg-type]
        return _points(angles, forearms, scales) + left

    def _alike(self, side: int, arm: Arm) -> bool:
        """Whether the hand looks much the same at both ends."""
        shapes = self._sides(lambda end: end.xy[:, arm.hand] - end.xy[:, arm.hand.start, None])
        shapes = shapes[0][-1], shapes[1][0]
        both = self.both[arm.hand]
        size = max(np.abs(shape[both]).max() for shape in shapes)
        away = np.linalg.norm(shapes[0] - shapes[1], axis=1)[both].mean()
        return bool(away < ALIKE * size)


def _points(angles: np.ndarray, forearm: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(K,21,2) pixels of posed hands as seen from their wrists."""
    points = np.empty((len(angles), 21, 3))
    for one in range(len(angles)):
        pose_points(*(np.ascontiguousarray(values[one]) for values in (angles, forearm, scale)), anatomy(), points[one])
    return points[..., :2]


def gap_seconds(before: Keypoints, after: Keypoints) -> float:
    """How long hands take for the way between two clips: by the longer way of the two, in widths of the shoulders.

    A hand that is still moving at the end of a clip is thought to stop first, and one that moves at the start to have
    started before: a way that goes on in the same direction is short.
    """
    person = person_of(before) or person_of(after)
    width = person.shoulders if person else max(before.size) / 3
    few = max(round(ENDS * before.fps), 4) + 1
    points = [joint for arm in ARMS for joint in (arm.wrist, arm.hand.start)]
    end, start = before[max(len(before) - few, 0) :], after[:few]
    there, back = end.xy[::-1, points].astype(np.float64), start.xy[:, points].astype(np.float64)
    seen = (end.confidence[::-1, points] > 0, start.confidence[:, points] > 0)
    both = seen[0][0] & seen[1][0]
    there_stop, back_stop = (
        _dying_out(*_leaving(side, known), np.zeros(1), LEAST * before.fps)[1]
        for side, known in zip((there, back), seen, strict=True)
    )
    way = np.linalg.norm(back[0] + back_stop - there[0] - there_stop, axis=-1) / width
    return float(min(LEAST + PER_WIDTH * way.max(initial=0, where=both), MOST))


def transition(before: Keypoints, after: Keypoints, count: int) -> Keypoints:
    """``count`` frames that lead from one clip to the next; both have the same size and rate.

    A point that one of the two ends lacks is missing. The confidence of the others goes over evenly.
    """
    made = _Transition(_end(before, False), _end(after, True), count, max(round(STOP * before.fps), 1))
    share = (np.arange(1, count + 1) / (count + 1))[:, None]
    confidence = np.where(made.both, (1 - share) * before.confidence[-1] + share * after.confidence[0], 0)
    xy = np.where(made.both[:, None], made.xy, 0)
    return replace(before[-1:], xy=xy, confidence=confidence)
