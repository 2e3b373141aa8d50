"""Clips of different people and cameras brought together, and a face or a hand taken from another clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from signgen.editing.timing import at_rate
from signgen.errors import InputError, Missing
from signgen.keypoints import Keypoints
from signgen.keypoints.repair.align import over_time
from signgen.keypoints.repair.carry import PALM_OF_SHOULDERS, as_complex, as_points, steady
from signgen.keypoints.repair.proportions import HEADS, Proportions, measure
from signgen.keypoints.rows import Rows, blocks
from signgen.keypoints.skeleton import ARMS, FACE, HEAD, PARTS

ALIKE = 0.02  # of the shoulders' width: clips that differ by less in size and place stay as they are
USABLE = 0.2  # confidence from which a wrist says where a hand is
# Points of a face that speech does not move: corners of the eyes, ends of the jaw, bridge of the nose. Estimators lack
# some of them; the first set that both faces have is taken, else eyes and ears of the body.
CORNERS, JAW_ENDS, BRIDGE = (36, 39, 42, 45), (0, 16), (27, 28, 29, 30)
RIGID = [
    *([FACE.start + i for i in some] for some in ((*CORNERS, *JAW_ENDS, *BRIDGE), (*CORNERS, *JAW_ENDS), CORNERS)),
    [*HEADS["ears"]],
    [*HEADS["eyes"]],
]


# --- one place and size ---------------------------------------------------------------------------------------
def person_of(clip: Keypoints) -> Proportions | None:
    """Measures of the signer; None where no frame shows both shoulders."""
    try:
        return measure(clip.sample())
    except InputError:
        return None


def brought_to(clip: Keypoints, first: Keypoints, fps: float) -> tuple[Keypoints, str]:
    """The clip in the frame of another one, its shoulders as wide and in the same place, at a rate.

    All points are scaled alike, so that what touches goes on to touch. Without shoulders the frame is scaled to fit.

    Returns:
        The clip, and one line that says what was done; empty where nothing was.
    """
    done = []
    if clip.fps != fps:
        done.append(f"{clip.fps:g} to {fps:g} frames a second")
        clip = at_rate(clip, fps)
    ours, theirs = person_of(clip), person_of(first)
    if clip.size != first.size:
        done.append(f"frame {clip.width}x{clip.height} to {first.width}x{first.height}")
    if ours is not None and theirs is not None:
        scale, middle, place = theirs.shoulders / ours.shoulders, ours.middle, theirs.middle
        moved = place - middle
        if abs(scale - 1) > ALIKE or np.abs(moved).max() > ALIKE * theirs.shoulders:
            done.append(
                f"shoulders {ours.shoulders:.0f} to {theirs.shoulders:.0f} pixels wide, their middle moved by "
                f"{moved[0]:.0f}, {moved[1]:.0f}"
            )
        else:
            scale, place = 1.0, middle
    else:
        scale = min(first.width / clip.width, first.height / clip.height)
        middle, place = (np.array(side.size) / 2 for side in (clip, first))
    clip = _scaled(clip, scale, middle, place).with_size(*first.size)
    return (
        clip,
        f"{clip.name or 'a clip'} was brought to {first.name or 'the first'}: {', '.join(done)}" if done else "",
    )


def _scaled(clip: Keypoints, scale: float, middle: np.ndarray, place: np.ndarray) -> Keypoints:
    """All points scaled about one that comes to lie somewhere else, block by block."""
    if scale == 1 and np.array_equal(middle, place):
        return clip
    xy = Rows(clip.xy.shape[1:])
    for part in clip.blocks():
        xy.append(np.where(part.confidence[..., None] > 0, (part.xy - middle) * scale + place, 0))
    return replace(clip, xy=xy.array())


# --- parts of another clip ------------------------------------------------------------------------------------
def with_part(clip: Keypoints, other: Keypoints, part: str) -> tuple[Keypoints, list[str]]:
    """The clip with the face or a hand of another one, second by second from its start.

    A face is turned, scaled and moved to where the head is: by the points that both faces have and that speech does
    not move, else by eyes and ears. A hand keeps its direction, its root goes to the wrist, and its palm gets the
    length that the person's has. Where the other clip shows the part no longer, its last pose is held.

    Args:
        clip: the clip.
        other: the one that the part is taken from.
        part: ``face``, ``left_hand`` or ``right_hand``.

    Returns:
        The clip, and a line for what is worth saying.

    Raises:
        Missing: the other clip never shows the part, or one of the two lacks what the part hangs on.
    """
    points, name = PARTS[part], part.replace("_", " ")
    other = at_rate(other, clip.fps)
    if not (other.confidence[:, points] > 0).any():
        raise Missing(other.name or "the other clip", f"no frame shows its {name}", "choose another clip")
    said = []
    shows = np.flatnonzero((other.confidence[:, points] > 0).any(1))
    shown = np.minimum(np.arange(len(clip)), shows[-1])
    if shows[-1] + 1 < len(clip):
        said.append(f"the {name} of {other.name or 'the other clip'} ends after {(shows[-1] + 1) / clip.fps:.3g} of "
                    f"{clip.seconds:.3g} s; its last pose is held")  # fmt: skip
    placing = _face if part == "face" else _hand
    place, turn, known = placing(clip, other, part, shown)
    all_xy, all_confidence = Rows(clip.xy.shape[1:]), Rows(clip.confidence.shape[1:])
    for frames in blocks(len(clip)):
        xy, confidence = clip.xy[frames].copy(), clip.confidence[frames].copy()
        taken = as_complex(other.xy[shown[frames]][:, points])
        moved = as_points(place[frames, None] + turn[frames, None] * taken)
        confidence[:, points] = np.where(known[frames, None], other.confidence[shown[frames]][:, points], 0)
        xy[:, points] = np.where(confidence[:, points, None] > 0, moved, 0)
        all_xy.append(xy)
        all_confidence.append(confidence)
    return replace(clip, xy=all_xy.array(), confidence=all_confidence.array()), said


Placing = tuple[np.ndarray, np.ndarray, np.ndarray]
"""complex (T,) place and turn, a point z of the other clip goes to place + turn z; bool (T,) where that is known."""


def _face(clip: Keypoints, other: Keypoints, part: str, shown: np.ndarray) -> Placing:
    for joints in RIGID:
        seen = [np.asarray((one.confidence[:, joints] > 0).all(1)) for one in (clip, other)]
        if seen[0].any() and seen[1].any():
            break
    else:
        heads = "faces have no points in common by which one can be put in the place of the other"
        raise Missing(other.name or "the other clip", heads, "choose a clip with eyes and nose")
    mine, theirs = (as_complex(one.xy[:, joints]) for one in (clip, other))
    here, there = (
        _steadily(points.mean(1), known, clip.fps) for points, known in zip((mine, theirs), seen, strict=True)
    )
    mine, theirs = mine - mine.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True)
    scale = np.median(np.abs(mine[seen[0]]).mean(1)) / max(np.median(np.abs(theirs[seen[1]]).mean(1)), 1e-6)
    both = seen[0] & seen[1][shown]
    angle = (theirs[shown].conj() * mine).sum(1)
    turn = scale * _steadily(np.where(np.abs(angle) > 0, angle / np.maximum(np.abs(angle), 1e-9), 1), both, clip.fps)
    there_is_a_head = (clip.confidence[:, [*range(HEAD.start, HEAD.stop), *range(FACE.start, FACE.stop)]] > 0).any(1)
    return here - turn * there[shown], turn, np.asarray(there_is_a_head)


def _hand(clip: Keypoints, other: Keypoints, part: str, shown: np.ndarray) -> Placing:
    arm = next(arm for arm in ARMS if arm.hand == PARTS[part])
    wrists = []
    for one in (clip, other):
        root, bodily = one.confidence[:, arm.hand.start] > 0, one.confidence[:, arm.wrist] >= USABLE
        wrists.append(
            (as_complex(np.where(root[:, None], one.xy[:, arm.hand.start], one.xy[:, arm.wrist])), root | bodily)
        )
    (here, known), (there, rooted) = wrists
    if not known.any():
        raise Missing(
            clip.name or "the clip", f"no frame shows the wrist of its {part.replace('_', ' ')}", "leave it out"
        )
    palms = []
    for one in (clip, other):
        person = person_of(one)
        palms.append(None if person is None else person.palm or PALM_OF_SHOULDERS * person.shoulders)
    scale = palms[0] / palms[1] if palms[0] and palms[1] else 1.0
    return here - scale * there[shown], np.full(len(clip), scale, complex), known & rooted[shown]


def _steadily(values: np.ndarray, known: np.ndarray, fps: float) -> np.ndarray:
    """complex (T,) over time, filled where unknown, without an estimator's jitter."""
    filled = as_complex(over_time(as_points(values), known))
    return steady(filled, np.ones_like(known), fps)
