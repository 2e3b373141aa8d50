"""Hands, faces and elbows that an estimator lost for some frames, or never found, completed so that they can be drawn.

A lost hand goes on with its arm: the shape that it had before the gap moves and turns with the forearm, and becomes
the shape that it has after the gap. Detections of a few frames that lie far from there are not believed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import InputError
from signgen.keypoints import filters
from signgen.keypoints.repair.carry import (
    Carrier,
    angles,
    around,
    as_complex,
    as_points,
    bridge,
    carry,
    relaxed_hand,
    runs,
    steady,
)
from signgen.keypoints.repair.proportions import measure
from signgen.keypoints.skeleton import ARMS, CONFIDENT, FACE, LEFT_ARM, LEFT_EYE, MIDDLE_KNUCKLE, NOSE, RIGHT_EYE

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

FOUND = 0.15  # confidence below which a point is as good as missing: it is hardly drawn
USABLE = 0.2  # confidence from which a joint may say where something else must be
SURENESS = 0.6  # of the confidence of what a point is completed from
UPPER_ARM, FOREARM = 1.0, 0.83  # lengths over the width of the shoulders, where no arm can be measured
CLOSE, HANGING = 0.25, 0.9 + 0.44j  # share of the arm's length in which a folded arm opens; where its elbow is before
EASE = 0.25  # seconds in which the place where an elbow was seen becomes the one where it must be
FOLLOW = (0.6, 1.0)  # share of the forearm's turn that a hand makes, at once and after a second: the wrist gives way
FARTHEST_BEND = 1.0  # radians between forearm and hand that a completed hand may show, unless a detection shows more
ENOUGH = 0.5  # share of a part's points that must be found for the part to be there
MARGIN = 0.08  # of the frame's longer side: the hand of a wrist this far outside may still show
BRIDGE = 0.25  # seconds for which a part goes on though the joint that carries it is lost
SPARSE = 0.25  # seconds for which a single point of a part that is there is filled
BRIEF = 0.12  # seconds; a detection that lasts no longer is checked against where the arm has the hand
NEAR = 4.0  # seconds before and after within which it is compared with others
FAR = 0.9  # of a hand's reach from its middle: a brief detection farther than this from there is not believed
SIZES = (0.4, 2.2)  # nor one that is so much smaller or larger than the hand usually is
SURE = (0.35, 0.55)  # bounds of what `SURENESS` leaves: drawn well, and yet less than what was seen


@dataclass(frozen=True)
class Part:
    """A part that hangs on a joint and turns with a limb, given by two joints."""

    name: str
    points: slice
    joint: int
    limb: tuple[int, int]


LEFT, RIGHT = (
    Part(f"{side} hand", arm.hand, arm.wrist, (arm.elbow, arm.wrist))
    for side, arm in zip(("left", "right"), ARMS, strict=True)
)
HEAD = Part("face", FACE, NOSE, (RIGHT_EYE, LEFT_EYE))


def fill_missing(clip: Keypoints) -> tuple[Keypoints, list[str]]:
    """Completes hands, elbows between a shoulder and a wrist, and a face that is lost for some frames.

    Where a part is found nothing changes, save that brief detections in unlikely places are replaced and single
    missing points are filled. A part is completed in frames that know the joint it hangs on, in the frame or close to
    it, and for a quarter of a second beyond. Frames without anybody stay empty. A hand that is never found takes the
    shape of a relaxed one; a face that is never found stays missing.

    Returns:
        The completed clip, and at most one line that says what was done.
    """
    xy, confidence = clip.xy.copy(), clip.confidence.copy()
    elbows = _fill_elbows(clip, xy, confidence)
    clip = replace(clip, xy=xy.copy(), confidence=confidence.copy())  # hands turn with forearms
    completed, doubted = {}, {}
    for part in (LEFT, RIGHT, HEAD):
        state = _read(clip, part)
        if part is not HEAD:
            state, doubted[part.name] = _believe(clip, part, state)
        state, completed[part.name] = _complete(clip, part, state)
        xy[:, part.points] = as_points(state.points)
        confidence[:, part.points] = state.confidence
    return replace(clip, xy=xy, confidence=confidence), _words(len(clip), completed | {"an elbow": elbows}, doubted)


def _words(frames: int, completed: dict[str, int], doubted: dict[str, int]) -> list[str]:
    done = [f"{name} in {count} of {frames} frames" for name, count in completed.items() if count]
    if not done:
        return []
    unlikely = [f"{name} in {count}" for name, count in doubted.items() if count]
    also = f" (among them unlikely detections: {', '.join(unlikely)})" if unlikely else ""
    return [f"missing parts were completed: {', '.join(done)}{also}"]


# --- what the clip has ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _State:
    """complex (T,N) points, their confidence (T,N), which are found (T,N), and the frames (T,) that have the part."""

    points: np.ndarray
    confidence: np.ndarray
    found: np.ndarray
    whole: np.ndarray

    def without(self, frames: np.ndarray) -> _State:
        """The state with the part missing in bool (T,) ``frames``."""
        confidence = np.where(frames[:, None], 0, self.confidence)
        return replace(self, confidence=confidence, found=self.found & ~frames[:, None], whole=self.whole & ~frames)

    def cut(self, frames: slice) -> _State:
        return _State(self.points[frames], self.confidence[frames], self.found[frames], self.whole[frames])


def _read(clip: Keypoints, part: Part) -> _State:
    confidence = clip.confidence[:, part.points].copy()
    found = confidence >= FOUND
    return _State(as_complex(clip.xy[:, part.points]), confidence, found, found.mean(1) >= ENOUGH)


def _carrier(clip: Keypoints, part: Part, state: _State) -> Carrier:
    """The joint where it is usable, else where the part itself says that it must be, else a short bridge."""
    sure = clip.confidence >= USABLE
    margin = MARGIN * max(clip.size)
    inside = np.all((clip.xy > -margin) & (clip.xy < np.array(clip.size) + margin), axis=-1)
    joint = as_complex(clip.xy[:, part.joint])
    known = sure[:, part.joint] & inside[:, part.joint]
    place = steady(joint, known, clip.fps)
    start, end = part.limb
    limb = sure[:, start] & sure[:, end]
    angle = angles(as_complex(clip.xy[:, start]), as_complex(clip.xy[:, end]), limb, clip.fps)
    along = np.exp(1j * angle)
    usual = ((_middle(state) - place) / along)[known & state.whole]
    offset = np.median(usual.real) + 1j * np.median(usual.imag) if len(usual) else 0
    place = np.where(state.whole & ~known, _middle(state) - offset * along, place)
    place, known = bridge(place, known | state.whole, _frames(clip, BRIDGE))
    return Carrier(place, known, angle)


def _middle(state: _State) -> np.ndarray:
    """complex (T,): the mean of the points found, 0 where none is."""
    return (state.points * state.found).sum(1) / np.maximum(state.found.sum(1), 1)


def _frames(clip: Keypoints, seconds: float) -> int:
    return max(1, round(seconds * clip.fps))


# --- what is not believed -------------------------------------------------------------------------------------
def _believe(clip: Keypoints, part: Part, state: _State) -> tuple[_State, int]:
    """The state without brief detections that lie far from where the arm has the hand, or are of another size.

    A detection is brief if it lasts at most `BRIEF` and the hand is missing before or after it.
    """
    longest = min(_frames(clip, BRIEF), len(clip) - 1)
    doubted = np.zeros(len(clip), bool)
    for start, stop in (run for run in runs(state.whole) if run[1] - run[0] <= longest):
        first = max(start - _frames(clip, NEAR), 0)
        near = slice(first, stop + _frames(clip, NEAR))
        if _unlikely(clip[near], part, state.without(doubted).cut(near), np.arange(start, stop) - first):
            doubted[start:stop] = True
    return state.without(doubted), int(doubted.sum())


def _unlikely(clip: Keypoints, part: Part, state: _State, frames: np.ndarray) -> bool:
    """Whether the detections in ``frames`` (K,) of this piece of a clip agree badly with the others in it."""
    others = state.without(np.isin(np.arange(len(clip)), frames))
    lengths = np.abs(state.points - _middle(state)[:, None]).max(1, where=state.found, initial=0)
    carrier = _carrier(clip, part, others)
    usable = carrier.known[frames]
    if not others.whole.any():  # nothing to compare it with but the wrist
        away = np.abs(_middle(state) - carrier.place)[frames]
        return bool(usable.any() and np.median((away / lengths[frames])[usable]) > 1 + FAR)
    usual = np.median(lengths[others.whole])
    if not SIZES[0] <= np.median(lengths[frames]) / usual <= SIZES[1]:
        return True
    expected, _ = _carried(clip, part, others, carrier, frames)
    away = np.abs(expected[:, 0] - state.points[frames, 0])[usable & state.found[frames, 0]]
    return bool(len(away) and np.median(away) > FAR * usual)


# --- completing -----------------------------------------------------------------------------------------------
def _complete(clip: Keypoints, part: Part, state: _State) -> tuple[_State, int]:
    """The state with the part in every frame that can have it, and in how many frames it was missing."""
    carrier = _carrier(clip, part, state)
    state = _fill_sparse(state, carrier, _frames(clip, SPARSE))
    wanted = ~state.whole & carrier.known & clip.confidence.any(1)
    for start, stop in runs(wanted):  # a part that would show for a moment and touches no detection stays away
        alone = not state.whole[max(start - 1, 0)] and not state.whole[min(stop, len(clip) - 1)]
        if alone and stop - start <= _frames(clip, BRIEF) < len(clip):
            wanted[start:stop] = False
    frames = np.flatnonzero(wanted)
    if not len(frames):
        return state, 0
    if state.whole.any():
        placed, there = _carried(clip, part, state, carrier, frames)
        sureness = _sureness(state, frames)
    else:
        relaxed = None if part is HEAD else relaxed_hand(clip, left=part is LEFT)
        if relaxed is None:
            return state, 0
        placed = carrier.place[frames, None] + relaxed * np.exp(1j * carrier.angle[frames, None])
        there, sureness = np.ones(placed.shape, bool), np.full(len(frames), SURE[0])
    points, confidence = state.points.copy(), state.confidence.copy()
    points[frames], confidence[frames] = placed, np.where(there, sureness[:, None], 0)
    return replace(state, points=points, confidence=confidence), len(frames)


def _carried(
    clip: Keypoints, part: Part, state: _State, carrier: Carrier, frames: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """complex (K,N) points of the part where it is missing, and which of them there are; see `carry`."""
    a, b = around(state.whole, frames)
    since = np.minimum(np.minimum(np.abs(frames - a), np.abs(b - frames)) / clip.fps, 1)
    follow = np.ones(len(frames)) if part is HEAD else FOLLOW[0] + (FOLLOW[1] - FOLLOW[0]) * since
    points, there = carry(state.points, state.found, state.whole, carrier, frames, follow)
    if part is not HEAD:
        shown = np.maximum(*(np.abs(_bend(state.points[t], carrier.angle[t])) for t in (a, b)))
        bend = _bend(points, carrier.angle[frames])
        least = np.maximum(FARTHEST_BEND, shown * (1 - since))
        back = np.clip(bend, -least, least) - bend
        points = points[:, :1] + (points - points[:, :1]) * np.exp(1j * back)[:, None]
    return points, there


def _bend(hand: np.ndarray, forearm: np.ndarray) -> np.ndarray:
    """Radians (K,) from the direction of the forearm (K,) to that of the hand, complex (K,21): root to knuckle."""
    along = (hand[:, MIDDLE_KNUCKLE] - hand[:, 0]) * np.exp(-1j * forearm)
    return np.angle(np.where(along != 0, along, 1))


def _sureness(state: _State, frames: np.ndarray) -> np.ndarray:
    """(K,) confidence of completed points: less than that of the less sure of the two shapes they come from."""
    found = (state.confidence * state.found).sum(1) / np.maximum(state.found.sum(1), 1)
    a, b = around(state.whole, frames)
    seen = np.minimum(found[a], found[b])
    return np.minimum(np.clip(SURENESS * seen, *SURE), seen)


def _fill_sparse(state: _State, carrier: Carrier, longest: int) -> _State:
    """Fills single missing points of frames that have the part, seen from the joint, from the frames about them."""
    missing = state.whole[:, None] & (state.confidence == 0)
    if not missing.any():
        return state
    local = state.points - carrier.place[:, None]
    xy, confidence = filters.fill_gaps(as_points(local), np.where(state.whole[:, None], state.confidence, 0), longest)
    filled = missing & (confidence > 0)
    points = np.where(filled, as_complex(xy) + carrier.place[:, None], state.points)
    return _State(points, np.where(filled, confidence, state.confidence), state.found | filled, state.whole)


def with_elbows(clip: Keypoints) -> Keypoints:
    """The clip with lost elbows where shoulders and wrists have them, as sure as seen points: an arm that leaves the
    picture goes on to its border."""
    xy, confidence = clip.xy.copy(), clip.confidence.copy()
    if not _fill_elbows(clip, xy, confidence):
        return clip
    guessed = confidence > clip.confidence
    return replace(clip, xy=xy, confidence=np.where(guessed, np.maximum(confidence, CONFIDENT), confidence))


# --- elbows ---------------------------------------------------------------------------------------------------
# Most often lost outside of the picture. Without an elbow no arm is drawn at all, and the hand floats.
def _fill_elbows(clip: Keypoints, xy: np.ndarray, confidence: np.ndarray) -> int:
    """Puts lost elbows where upper arm and forearm have their lengths, on the outer side of the arm.

    Args:
        clip: the clip.
        xy, confidence: (T,133,2) and (T,133), changed in place.

    Returns:
        In how many frames an elbow was lost and is there now.
    """
    sure = clip.confidence >= USABLE
    lost = [
        sure[:, arm.shoulder] & sure[:, arm.wrist] & (clip.confidence[:, arm.elbow] < FOUND) for arm in ARMS
    ]  # (T,) of each arm
    if not np.any(lost):
        return 0
    try:
        person = measure(clip)
    except InputError:  # no shoulders, no arms
        return 0
    lengths = person.upper_arm or UPPER_ARM * person.shoulders, person.forearm or FOREARM * person.shoulders
    for arm, missing in zip(ARMS, lost, strict=True):
        frames = np.flatnonzero(missing)
        if not len(frames):
            continue
        joints = arm[:3]
        shoulder, elbow, wrist = (as_complex(clip.xy[:, joint]) for joint in joints)
        bent = _elbow(shoulder, wrist, *lengths, outwards=1 if arm is LEFT_ARM else -1)
        placed = bent[frames] + _eased(elbow - bent, np.all(sure[:, joints], axis=1), frames, clip.fps)
        xy[frames, arm.elbow] = as_points(placed)
        confidence[frames, arm.elbow] = SURENESS * clip.confidence[frames][:, (arm.shoulder, arm.wrist)].min(1)
    return int(np.logical_or(*lost).sum())


def _elbow(shoulder: np.ndarray, wrist: np.ndarray, upper: float, forearm: float, outwards: int) -> np.ndarray:
    """complex (T,): where two bones of these lengths meet; on the line between their ends where it is too long.

    Of the two places the one that lies lower is taken, and of two equally low ones the one farther out
    (``outwards``: 1 towards larger x, -1 towards smaller). Where both ends are so near each other that the bones cannot
    meet, their line says nothing: then the elbow is out and down, half of the arm away. In between it is in between.
    """
    line, reach = wrist - shoulder, upper + forearm
    distance = np.maximum(np.abs(line), 1e-6)
    straight = distance >= reach
    meeting = np.clip((distance**2 + upper**2 - forearm**2) / 2 / distance, -upper, upper)
    along = np.where(straight, distance * upper / reach, meeting)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0)) * ~straight
    middle, normal = shoulder + line / distance * along, 1j * line / distance * aside
    below = normal.imag + 0.5 * outwards * normal.real >= 0
    bent = middle + np.where(below, normal, -normal)
    hanging = (shoulder + wrist) / 2 + (outwards * HANGING.real + 1j * HANGING.imag) * reach / 2
    return bent + np.clip(1 - (distance - abs(upper - forearm)) / (CLOSE * reach), 0, 1) * (hanging - bent)


def _eased(offset: np.ndarray, known: np.ndarray, frames: np.ndarray, fps: float) -> np.ndarray:
    """complex (K,): how far from `_elbow` the nearest elbows that were seen lie, less and less with time."""
    if not known.any():
        return np.zeros(len(frames))
    a, b = around(known, frames)
    near = [np.clip(1 - np.abs(frames - other) / max(EASE * fps, 1), 0, 1) for other in (a, b)]
    total = np.maximum(near[0] + near[1], 1)
    return np.where(a == b, offset[a] * near[0], (offset[a] * near[0] + offset[b] * near[1]) / total)
