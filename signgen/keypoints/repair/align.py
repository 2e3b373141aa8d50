"""Giving the driving signer the reference person's place and proportions, limb directions kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from signgen.keypoints.repair.carry import as_complex, as_points
from signgen.keypoints.repair.proportions import HEADS, Proportions, measure
from signgen.keypoints.skeleton import ARMS, FACE, FEET, HEAD, HIPS, LEFT_KNEE, NUM_JOINTS, SHOULDERS

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

_HEAD_JOINTS = [*range(HEAD.start, HEAD.stop), *range(FACE.start, FACE.stop)]
_LEGS = [*range(LEFT_KNEE, FEET.stop)]
# Bounds of a part's ratio relative to the shoulders' one: people differ by less, so more is a measuring error.
# Hands are held the closest: a fist or an edge-on palm in a short reference would shrink all fingers.
_ARM_BOUNDS, _PART_BOUNDS, _HAND_BOUNDS = (0.7, 1.4), (0.6, 1.6), (0.75, 1.35)
_COMPLETED = 0.5  # confidence of a point that was taken from the reference's proportions


@dataclass(frozen=True)
class AlignReport:
    """Factors by which the parts were scaled, the shift of the shoulders' middle in pixels, and warnings."""

    shoulders: float
    head: float
    upper_arm: float
    forearm: float
    hand: float
    hips: float
    shift: tuple[float, float]
    warnings: list[str] = field(default_factory=list)


# --- aligning -------------------------------------------------------------------------------------------------
def align_to(
    driving: Keypoints, reference: Keypoints, measured: Keypoints | None = None
) -> tuple[Keypoints, AlignReport]:
    """The driving signer's motion on the reference person's body, in the reference's frame.

    The middle of the shoulders goes to the reference's; shoulder width, upper arms, forearms, hands, head and hips are
    scaled to the reference's lengths; every limb keeps its direction, each hand follows its new wrist, and the face
    is moved and scaled as one piece. What either person does not show is scaled with the shoulders. Missing points
    stay missing. InputError if either clip shows no shoulders. ``measured``: the frames by which the driving signer is
    measured, where ``driving`` is only a piece of a clip.
    """
    ours, theirs = measure(measured or driving), measure(reference)
    report = _factors(ours, theirs)
    xy = _Mover(driving, ours, theirs, report).run()
    return replace(driving, xy=xy, width=reference.width, height=reference.height), report


def _common_heads(ours: Proportions, theirs: Proportions) -> list[str]:
    """The kinds of points by which both heads are measured, best first."""
    return [kind for kind in HEADS if kind in ours.heads and kind in theirs.heads]


def _factors(ours: Proportions, theirs: Proportions) -> AlignReport:
    scale = theirs.shoulders / ours.shoulders
    warnings: list[str] = []

    def factor(name: str, mine: float | None, other: float | None, bounds: tuple[float, float]) -> float:
        if not mine or not other:
            return scale
        ratio = other / mine / scale
        bounded = float(np.clip(ratio, *bounds))
        if bounded != ratio:
            warnings.append(f"{name} would be scaled {ratio:.2f} times as much as the shoulders; held at {bounded:.2f}")
        return scale * bounded

    kinds = _common_heads(ours, theirs)
    mine, other = (ours.heads[kinds[0]].size, theirs.heads[kinds[0]].size) if kinds else (None, None)
    shift = theirs.middle - ours.middle
    return AlignReport(
        shoulders=scale,
        head=factor("head", mine, other, _PART_BOUNDS),
        upper_arm=factor("upper arms", ours.upper_arm, theirs.upper_arm, _ARM_BOUNDS),
        forearm=factor("forearms", ours.forearm, theirs.forearm, _ARM_BOUNDS),
        hand=factor("hands", ours.palm, theirs.palm, _HAND_BOUNDS),
        hips=factor("hips", ours.hip_width, theirs.hip_width, _PART_BOUNDS),
        shift=(round(float(shift[0]), 3), round(float(shift[1]), 3)),
        warnings=warnings,
    )


class _Mover:
    """Moves all points of a clip, part by part; `out` (T,133,2) begins as one plain similarity."""

    def __init__(self, driving: Keypoints, ours: Proportions, theirs: Proportions, factors: AlignReport) -> None:
        self.xy = driving.xy.astype(np.float64)
        self.seen = driving.confidence > 0
        self.ours, self.theirs, self.factors = ours, theirs, factors
        both = np.all(self.seen[:, SHOULDERS], axis=-1)
        self.middle = over_time(self.xy[:, SHOULDERS].mean(1), both, ours.middle)
        self.new_middle = theirs.middle + factors.shoulders * (self.middle - ours.middle)
        self.out = self.new_middle[:, None] + factors.shoulders * (self.xy - self.middle[:, None])

    def run(self) -> np.ndarray:
        for arm in ARMS:
            self._arm(*arm)
        self._hips()
        self._head()
        return self.out

    def _hang(self, joints: int | slice | list[int], parent: int, factor: float) -> None:
        """Joints keep their direction from the parent, at `factor` times the distance, where the parent is seen."""
        frames = self.seen[:, parent]
        parent_xy, parent_out = self.xy[frames, parent], self.out[frames, parent]
        if not isinstance(joints, int):
            parent_xy, parent_out = parent_xy[:, None], parent_out[:, None]
        self.out[frames, joints] = parent_out + factor * (self.xy[frames, joints] - parent_xy)

    def _arm(self, shoulder: int, elbow: int, wrist: int, hand: slice) -> None:
        self._hang(elbow, shoulder, self.factors.upper_arm)
        self._hang(wrist, elbow, self.factors.forearm)
        self._hang(hand.start, elbow, self.factors.forearm)  # for frames that show the hand but not the body's wrist
        self._hang(hand.start, wrist, self.factors.hand)
        self._hang(slice(hand.start + 1, hand.stop), hand.start, self.factors.hand)

    def _hips(self) -> None:
        """The hips' middle goes to the reference's, keeping its motion; legs follow it."""
        frames = np.all(self.seen[:, HIPS], axis=-1)
        if self.ours.hips is None or not frames.any():
            return
        middle = self.xy[:, HIPS].mean(1)
        moving = self.factors.shoulders * (middle - self.middle - self.ours.hips)
        rest = self.theirs.hips if self.theirs.hips is not None else self.factors.shoulders * self.ours.hips
        new = self.new_middle + rest + moving
        for joints, factor in ((list(HIPS), self.factors.hips), (_LEGS, self.factors.shoulders)):
            moved = new[:, None] + factor * (self.xy[:, joints] - middle[:, None])
            self.out[:, joints] = np.where(frames[:, None, None], moved, self.out[:, joints])

    def _head(self) -> None:
        """One similarity for all head and face points of a frame: scale about the head's centre, then move."""
        kinds, scale = _common_heads(self.ours, self.theirs), self.factors.shoulders
        if not kinds:
            return
        centers, known = np.zeros((len(self.xy), 2)), np.zeros(len(self.xy), bool)  # relative to the shoulders' middle
        shifts = np.zeros_like(centers)
        for kind in reversed(kinds):  # by frame the best that is seen: a piece of a clip may show less than the clip
            joints, seen = HEADS[kind], np.all(self.seen[:, HEADS[kind]], axis=-1)
            centers[seen] = self.xy[seen][:, joints].mean(1) - self.middle[seen]
            shifts[seen] = self._head_shift(kind)
            known |= seen
        centers = over_time(centers, known, self.ours.heads[kinds[0]].place)
        new = self.new_middle + over_time(shifts, known, self._head_shift(kinds[0])) + scale * centers
        relative = self.xy[:, _HEAD_JOINTS] - (self.middle + centers)[:, None]
        self.out[:, _HEAD_JOINTS] = new[:, None] + self.factors.head * relative

    def _head_shift(self, kind: str) -> np.ndarray:
        """(2,): from where a head would lie if it were scaled with the shoulders to the reference's place."""
        return self.theirs.heads[kind].place - self.factors.shoulders * self.ours.heads[kind].place


def over_time(values: np.ndarray, known: np.ndarray, otherwise: np.ndarray | None = None) -> np.ndarray:
    """(T,2) values with the unknown frames filled linearly from the known ones; where none is: ``otherwise`` (2,), or
    the values as they are."""
    if not known.any():
        return values if otherwise is None else np.tile(otherwise, (len(values), 1))
    frames = np.arange(len(values))
    return np.stack([np.interp(frames, frames[known], values[known, axis]) for axis in (0, 1)], axis=-1)


# --- completing -----------------------------------------------------------------------------------------------
class Completion:
    """Gives a clip the head, face and hip points that none of its frames has, from a reference person's proportions.

    Head and face points follow the head points that are seen (turned, scaled and moved with them); where none are,
    and for hips, they keep the reference's place relative to the shoulders, scaled by shoulder width. They get
    confidence 0.5. Points seen in any frame of the clip are left alone.

    Args:
        reference: the person whose proportions are taken.
        whole: the clip, or as much of it as it is measured by.
    """

    def __init__(self, reference: Keypoints, whole: Keypoints) -> None:
        theirs = measure(reference)
        ours = measure(whole)
        self._middle, self._scale = ours.middle, ours.shoulders / theirs.shoulders
        self._template, self._known = _template(reference, theirs)
        self._never = ~(whole.confidence > 0).any(0) & self._known

    def of(self, driving: Keypoints) -> tuple[Keypoints, list[str]]:
        """The clip or a piece of it, completed, and warnings."""
        xy, confidence = driving.xy.astype(np.float64), driving.confidence.copy()
        seen = driving.confidence > 0
        middle = over_time(xy[:, SHOULDERS].mean(1), np.all(seen[:, SHOULDERS], axis=-1), self._middle)
        wanted = {"head and face": _HEAD_JOINTS, "hips": [*HIPS]}
        warnings = []
        for part, joints in wanted.items():
            missing = [joint for joint in joints if self._never[joint]]
            if not missing:
                continue
            guides = (
                [joint for joint in joints if self._known[joint] and not self._never[joint]] if part != "hips" else []
            )
            for t in range(len(xy)):
                at = [joint for joint in guides if seen[t, joint]]
                xy[t, missing] = _carry(self._template, missing, at, xy[t], middle[t], self._scale)
            xy[:, missing] = np.where(seen[:, missing, None], driving.xy[:, missing], xy[:, missing])
            confidence[:, missing] = np.where(seen[:, missing], driving.confidence[:, missing], _COMPLETED)
            warnings.append(f"{len(missing)} {part} points that no frame shows were placed as on the reference person")
        return replace(driving, xy=xy, confidence=confidence), warnings


def _template(reference: Keypoints, theirs: Proportions) -> tuple[np.ndarray, np.ndarray]:
    """(133,2) median points of the reference relative to its shoulders' middle, and (133,) which are known."""
    seen = reference.confidence > 0
    known = np.asarray(seen.any(0))
    template = np.zeros((NUM_JOINTS, 2))
    template[known] = np.nanmedian(np.where(seen[..., None], reference.xy, np.nan)[:, known], axis=0) - theirs.middle
    return template, known


def _carry(
    template: np.ndarray, joints: list[int], guides: list[int], xy: np.ndarray, middle: np.ndarray, scale: float
) -> np.ndarray:
    """Template joints (N,2) in the frame of the guides: a least-squares similarity for two guides or more."""
    if not guides:
        return middle + scale * template[joints]
    source, target = template[guides], xy[guides]
    a, b = source.mean(0), target.mean(0)
    z, w = as_complex(source - a), as_complex(target - b)
    power = (abs(z) ** 2).sum()
    turn = (w * z.conj()).sum() / power if len(guides) > 1 and power > 1e-9 else complex(scale)
    return b + as_points(turn * as_complex(template[joints] - a))
