"""How a clip is turned: bodies that lie, stand on their heads or are mirrored are found, and a `View` mends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from signgen.errors import BadValue
from signgen.keypoints.clip import Keypoints, clean_points, to_decide_by
from signgen.keypoints.skeleton import (
    ARMS,
    CONFIDENT,
    EYES,
    FACE,
    FEET,
    HEAD,
    HIPS,
    LEFT_EAR,
    LEFT_HAND,
    LEFT_KNEE,
    MIRROR,
    RIGHT_EAR,
    RIGHT_HAND,
    SHOULDERS,
    WRISTS,
)

Block = tuple[np.ndarray, np.ndarray]  # (T,133,2) and (T,133) of successive frames
Blocks = Callable[[], Iterable[Block]]  # all frames of a clip, as often as they are asked for

_BROWS, _CHIN = [FACE.start + i for i in range(17, 27)], [FACE.start + i for i in range(6, 11)]
_SIDES = (  # left and right points that tell which way a head faces, best first
    ([FACE.start + i for i in range(42, 48)], [FACE.start + i for i in range(36, 42)]),
    ([EYES[0]], [EYES[1]]),
    ([LEFT_EAR], [RIGHT_EAR]),
)
_HEAD_POINTS = [*range(HEAD.start, HEAD.stop), *range(FACE.start, FACE.stop)]
_HEAD = 0.8  # of the way from the shoulders to a head, how far the head's points lie from its middle: else it is none
_FACE = 1.4  # the same, of the way from chin to brows
_ASLANT = 35.0  # degrees from a quarter turn within which a body counts as turned by it
_LONG = 0.3  # of the body's own scale: a shorter line from shoulders to head, or hips to shoulders, says no direction
_WIDE = 0.6  # of the line from shoulders to head: narrower shoulders are seen from the side, and say no side
_APART = 0.4  # shoulder widths by which a hand must be nearer to one wrist than to the other
_TELLING = 0.2  # share of the frames that must tell something, for a share of those to be worth a word
_OFTEN = 0.25  # share of those frames from which it is said
SIDE_ROOM, HEAD_ROOM, BELOW = 1.75, 1.75, 2.75  # how far hands go from the middle of the shoulders, in their widths
_LEGS = [*range(LEFT_KNEE, FEET.stop)]


# --- what is found --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Turns:
    """What the frames of a clip show; each (T,).

    Attributes:
        quarters: int, by how many quarters clockwise the body is turned; -1 where that cannot be told.
        sides: 1 where left points lie to the body's left, as in an unmirrored picture; -1 to its right; 0: unknown.
        behind: bool, no face says that ``sides`` is not that of a person seen from behind.
        hands: 1 where hands lie at their own wrists, -1 where they lie at the other arm's; 0: unknown.
    """

    quarters: np.ndarray
    sides: np.ndarray
    behind: np.ndarray
    hands: np.ndarray

    @property
    def quarter(self) -> int:
        """The turn that most of the telling frames show; 0 where too few tell."""
        told = self.quarters[self.quarters >= 0]
        if len(told) < max(_TELLING * len(self.quarters), 1):
            return 0
        return int(np.bincount(told, minlength=4).argmax())

    @property
    def crossed(self) -> bool:
        """Whether left and right lie crossed in most of the telling frames."""
        return _share(self.sides, -1) > 0.5


def find_turns(xy: np.ndarray, confidence: np.ndarray) -> Turns:
    """How the body is turned in each frame.

    The direction from shoulders to head, from hips to shoulders and from chin to brows says where up is; arms say
    nothing, they may lie in any direction. The order of the shoulders, and of the eyes, says which side is left.
    Points that are no body, such as a head as large as the way to it, say nothing.

    Args:
        xy: (T,133,2), pixels. confidence: (T,133).
    """
    xy = np.asarray(xy, np.float64)
    seen = confidence >= np.minimum(CONFIDENT, confidence.max(1, keepdims=True)) * (confidence > 0)
    seen &= confidence > 0
    shoulders, both = _middle(xy, seen, [*SHOULDERS], every=True)
    head, with_head = _middle(xy, seen, _HEAD_POINTS)
    hips, with_hips = _middle(xy, seen, [*HIPS], every=True)
    brows, with_brows = _middle(xy, seen, _BROWS)
    chin, with_chin = _middle(xy, seen, _CHIN)
    lines = [  # (T,2) each: parts of the way up
        np.where((both & with_head)[:, None], head - shoulders, 0),
        np.where((both & with_hips)[:, None], shoulders - hips, 0),
        np.where((with_brows & with_chin)[:, None], brows - chin, 0),
    ]
    across = np.where(both[:, None], xy[:, SHOULDERS[0]] - xy[:, SHOULDERS[1]], 0)
    up = np.sum(lines, axis=0)
    length = np.linalg.norm(up, axis=-1)
    scale = np.maximum(np.linalg.norm(across, axis=-1), np.linalg.norm(lines, axis=-1).max(0))
    spread = _spread(xy, seen, head)
    no_head = both & with_head & (spread > _HEAD * np.linalg.norm(lines[0], axis=-1))
    no_face = with_brows & with_chin & (spread > _FACE * np.linalg.norm(lines[2], axis=-1))
    body = np.all([(line * up).sum(-1) >= 0 for line in lines], axis=0) & ~no_head & ~no_face
    told = body & (length > _LONG * np.maximum(scale, 1e-9))
    angle = np.degrees(np.arctan2(up[:, 0], -up[:, 1]))  # clockwise from upright
    quarters = np.round(angle / 90).astype(int)
    off = np.abs(angle - 90 * quarters) > _ASLANT  # a body that leans is no turned picture
    quarters = np.where(off & (quarters != 0), 0, quarters % 4)
    up = np.where(told[:, None], up / np.maximum(length, 1e-9)[:, None], [0.0, -1.0])
    sides, behind = _sides(xy, seen, across, up, np.linalg.norm(lines, axis=-1).max(0))
    hands = _hands(xy, seen, np.linalg.norm(across, axis=-1))
    return Turns(np.where(told, quarters, -1), np.where(body, sides, 0), behind, np.where(body, hands, 0))


def _middle(xy: np.ndarray, seen: np.ndarray, joints: list[int], every: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(T,2) mean of the joints that are seen, and (T,) whether there is any, or every one of them."""
    mine = seen[:, joints]
    count = mine.sum(1)
    mean = np.where(mine[..., None], xy[:, joints], 0).sum(1) / np.maximum(count, 1)[:, None]
    return mean, count == len(joints) if every else count > 0


def _spread(xy: np.ndarray, seen: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """(T,) distance of the points of head and face from their middle, root mean square."""
    mine = seen[:, _HEAD_POINTS]
    away = ((xy[:, _HEAD_POINTS] - middle[:, None]) ** 2).sum(-1)
    return np.sqrt(np.where(mine, away, 0).sum(1) / np.maximum(mine.sum(1), 1))


def _sides(
    xy: np.ndarray, seen: np.ndarray, across: np.ndarray, up: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`Turns.sides` and `Turns.behind`; ``across`` is the way from the right shoulder to the left one."""
    left = np.stack([-up[:, 1], up[:, 0]], axis=-1)  # a viewer's right: where the left of somebody who faces them is
    shoulders = (across * left).sum(-1)
    wide = np.abs(shoulders) > _WIDE * np.maximum(size, 1e-9)
    head, known = np.zeros(len(xy)), np.zeros(len(xy), bool)
    for lefts, rights in _SIDES:
        there = seen[:, lefts].all(1) & seen[:, rights].all(1) & ~known
        head = np.where(there, ((xy[:, lefts].mean(1) - xy[:, rights].mean(1)) * left).sum(-1), head)
        known |= there
    agree = ~known | (np.sign(head) == np.sign(shoulders))
    sides = np.where(wide & agree, np.sign(shoulders), 0).astype(int)
    return sides, ~known


def _hands(xy: np.ndarray, seen: np.ndarray, shoulders: np.ndarray) -> np.ndarray:
    """`Turns.hands`, from how far the hands' roots are from both wrists."""
    result = np.zeros(len(xy))
    wrists = seen[:, WRISTS].all(1)
    width = np.where(shoulders > 0, shoulders, np.linalg.norm(xy[:, WRISTS[0]] - xy[:, WRISTS[1]], axis=-1))
    for own, other in (ARMS, ARMS[::-1]):
        there = wrists & seen[:, own.hand.start]
        root = xy[:, own.hand.start]
        nearer = np.linalg.norm(root - xy[:, other.wrist], axis=-1) - np.linalg.norm(root - xy[:, own.wrist], axis=-1)
        sure = there & (np.abs(nearer) > _APART * np.maximum(width, 1e-9))
        result += np.where(sure, np.sign(nearer), 0)
    return np.sign(result).astype(int)


def _share(values: np.ndarray, value: int, unknown: int = 0) -> float:
    """Share of the frames with a value among those that tell one; 0 where too few do."""
    told = values != unknown
    if told.sum() < max(_TELLING * len(values), 1):
        return 0.0
    return float((values == value).sum() / told.sum())


_LIES = {1: "lies on the left side", 2: "stands on the head", 3: "lies on the right side"}


@dataclass(frozen=True)
class Advice:
    """What mends a turned body, a mirrored one and exchanged hands, in words; ``{}`` is the number of degrees."""

    rotate: str = "--rotate {} turns it upright"
    both: str = "--rotate {} --mirror mends it"
    mirror: str = "--mirror mends it"
    hands: str = "--swap-hands exchanges them there"


def turn_warnings(keypoints: Keypoints, whose: str = "the person", advice: Advice | None = None) -> list[str]:
    """One line for a body that is turned or mirrored, and one for exchanged hands, with the share of frames.

    Args:
        whose: the words for who is meant.
        advice: what mends it; None: the options of a clip.
    """
    some = keypoints.sample()
    present = some.confidence.any(1)
    if not present.any():
        return []
    turns = find_turns(some.xy[present], some.confidence[present])
    advice = advice or Advice()
    lines = [_turned(turns, whose, advice), _exchanged(turns, whose, advice)]
    return [line for line in lines if line]


def _turned(turns: Turns, whose: str, advice: Advice) -> str:
    """The line for a turned or mirrored body, or nothing."""
    told = turns.quarters[turns.quarters >= 0]
    shares = np.bincount(told, minlength=4) / max(len(told), 1)
    quarter = int(shares[1:].argmax()) + 1
    often = shares[quarter] >= _OFTEN and len(told) >= max(_TELLING * len(turns.quarters), 1)
    mirrored = _share(turns.sides, -1)
    if not often and mirrored < _OFTEN:
        return ""
    if not often:
        if turns.behind[turns.sides == -1].mean() > 0.5:
            return (
                f"{whose} is seen from behind in {mirrored:.0%} of frames, or left and right are exchanged:"
                f" {advice.mirror}"
            )
        return f"{whose} is mirrored in {mirrored:.0%} of frames, left and right are exchanged: {advice.mirror}"
    degrees = 360 - 90 * quarter
    if mirrored >= _OFTEN:
        why = "does y point up in this file?" if quarter == 2 else "are x and y exchanged in this file?"
        return (
            f"{whose} {_LIES[quarter]}, mirrored, in {shares[quarter]:.0%} of frames: {why}"
            f" {advice.both.format(degrees)}"
        )
    found = f"{whose} {_LIES[quarter]} in {shares[quarter]:.0%} of frames"
    return f"{found}: was a rotation flag lost? {advice.rotate.format(degrees)}"


def _exchanged(turns: Turns, whose: str, advice: Advice) -> str:
    share = _share(turns.hands, -1)
    if share < _OFTEN:
        return ""
    return f"the hands of {whose} lie at the other arm's wrist in {share:.0%} of frames: {advice.hands}"


# --- what mends it --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class View:
    """What is done to a clip before it is used, in this order.

    Attributes:
        rotate: the picture is turned clockwise by 0, 90, 180 or 270 degrees.
        mirror: the picture is flipped left to right and each point takes its partner's name, as in `Keypoints.mirror`;
            where left and right lie crossed already, places alone are flipped, so that they no longer do.
        swap_hands: in frames in which the hands lie at the other arm's wrist, they exchange their names.
        crop: (x, y, width, height) in pixels of what is kept of the frame by then, or ``signer``: the space that the
            person signs in.
    """

    rotate: int = 0
    mirror: bool = False
    swap_hands: bool = False
    crop: tuple[int, int, int, int] | str | None = None

    def __post_init__(self) -> None:
        if self.rotate not in (0, 90, 180, 270):
            raise BadValue("--rotate", f"got {self.rotate}", "a picture is turned by 90, 180 or 270 degrees, clockwise")
        crop = self.crop
        if crop is None or crop == "signer":
            return
        if isinstance(crop, str) or len(crop) != 4 or not all(float(side).is_integer() for side in crop):
            raise BadValue("--crop", f"got {crop!r}", "give X,Y,W,H in whole pixels, or signer")

    def of(self, keypoints: Keypoints) -> tuple[Keypoints, list[str]]:
        """A clip looked at in this way, and what is worth a word."""
        if self == View():
            return keypoints, []
        parts, size, said = self.look(
            lambda: ((part.xy, part.confidence) for part in keypoints.blocks()), keypoints.size, keypoints.name
        )
        xy, confidence, _ = clean_points(parts)
        return replace(keypoints, xy=xy, confidence=confidence, width=size[0], height=size[1]), said

    def look(
        self, blocks: Blocks, size: tuple[int, int], subject: str, sample: Block | None = None
    ) -> tuple[Iterator[Block], tuple[int, int], list[str]]:
        """The same for points in pixels that come block by block.

        Args:
            blocks: all frames. size: (width, height) of their frame. subject: for errors.
            sample: enough of the frames to decide by; None: all.

        Returns:
            The frames' points, the frame's size and what is worth a word.
        """
        xy, confidence = to_decide_by(*(sample or (np.concatenate(side) for side in zip(*blocks(), strict=True))))
        turn, size = _turning(self.rotate, size)
        steps, names = [turn], None
        some = turn(xy), confidence
        if self.mirror:
            flip = _flipping(size[0])
            names = None if find_turns(*some).crossed else MIRROR
            steps.append(flip)
            some = _named(flip(some[0]), some[1], names)
        said = []
        if self.crop is not None:
            place = _signing_space(*some, size) if self.crop == "signer" else tuple(int(side) for side in self.crop)
            x, y, *sides = _inside(place, size, subject)
            if self.crop == "signer":
                said = [
                    f"cropped to the signer: {sides[0]}x{sides[1]} pixels of {size[0]}x{size[1]} from ({x}, {y}) on"
                ]
            steps.append(lambda xy: xy - np.array([x, y], xy.dtype))
            size = sides[0], sides[1]
        wrong = self._wrong_hands(blocks) if self.swap_hands else None
        return self._all(blocks, steps, names, wrong), size, said

    def _all(
        self, blocks: Blocks, steps: list[Callable], names: np.ndarray | None, wrong: np.ndarray | None
    ) -> Iterator[Block]:
        start = 0
        for xy, confidence in blocks():
            for step in steps:
                xy = step(xy)
            xy, confidence = _named(xy, confidence, names)
            if wrong is not None:
                xy, confidence = _swapped(xy, confidence, wrong[start : start + len(xy)])
            start += len(xy)
            yield xy, confidence

    @staticmethod
    def _wrong_hands(blocks: Blocks) -> np.ndarray:
        """bool (T,): frames with exchanged hands; those that do not tell go with the nearest one that does."""
        hands = np.concatenate([find_turns(*to_decide_by(*block)).hands for block in blocks()])
        told = np.flatnonzero(hands)
        if not len(told):
            return np.zeros(len(hands), bool)
        frames = np.arange(len(hands))
        after = np.clip(np.searchsorted(told, frames), 0, len(told) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.where(np.abs(told[before] - frames) <= np.abs(told[after] - frames), before, after)
        return hands[told[nearer]] < 0


def _turning(degrees: int, size: tuple[int, int]) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[int, int]]:
    """What turns points clockwise, and the size of the frame after that. (0,0) is the centre of a pixel."""
    width, height = size
    matrix, shift = {
        0: (((1, 0), (0, 1)), (0, 0)),
        90: (((0, -1), (1, 0)), (height - 1, 0)),
        180: (((-1, 0), (0, -1)), (width - 1, height - 1)),
        270: (((0, 1), (-1, 0)), (0, width - 1)),
    }[degrees]
    if degrees == 0:
        return lambda xy: xy, size
    turned = (width, height) if degrees == 180 else (height, width)
    return lambda xy: xy @ np.array(matrix, xy.dtype).T + np.array(shift, xy.dtype), turned


def _flipping(width: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda xy: xy * np.array([-1, 1], xy.dtype) + np.array([width - 1, 0], xy.dtype)


def _named(xy: np.ndarray, confidence: np.ndarray, names: np.ndarray | None) -> Block:
    return (xy, confidence) if names is None else (xy[:, names], confidence[:, names])


def _swapped(xy: np.ndarray, confidence: np.ndarray, wrong: np.ndarray) -> Block:
    """The hands of the frames ``wrong`` exchange their names."""
    order = np.arange(xy.shape[1])
    order[LEFT_HAND], order[RIGHT_HAND] = order[RIGHT_HAND].copy(), order[LEFT_HAND].copy()
    return np.where(wrong[:, None, None], xy[:, order], xy), np.where(wrong[:, None], confidence[:, order], confidence)


def _inside(place: tuple[int, ...], size: tuple[int, int], subject: str) -> tuple[int, int, int, int]:
    x, y, width, height = place
    if width < 16 or height < 16 or x < 0 or y < 0 or x + width > size[0] or y + height > size[1]:
        allowed = (
            f"give X,Y,W,H of 16 pixels and more inside of the {size[0]}x{size[1]} frame of {subject or 'the clip'}"
        )
        raise BadValue("--crop", f"got {x},{y},{width},{height}", allowed)
    return x, y, width, height


def _signing_space(xy: np.ndarray, confidence: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """x, y, width and height, inside of the frame, of the space that the person signs in, all that is seen of it.

    All of the frame where nobody is seen.
    """
    if not (confidence > 0).any():
        return 0, 0, *size
    seen = confidence >= CONFIDENT
    seen[:, _LEGS] = False
    both = seen[:, SHOULDERS].all(1)
    points = xy[seen] if seen.any() else xy[confidence > 0]
    low, high = np.quantile(points, 0.02, axis=0), np.quantile(points, 0.98, axis=0)
    if both.any():
        ends = xy[both][:, SHOULDERS]
        width = float(np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)))
        middles = ends.mean(1)
        low = np.minimum(low, middles.min(0) - [SIDE_ROOM * width, HEAD_ROOM * width])
        high = np.maximum(high, middles.max(0) + [SIDE_ROOM * width, BELOW * width])
    corner = np.clip(np.floor(low), 0, np.maximum(np.array(size) - 16, 0)).astype(int)
    sides = np.clip(np.ceil(high).astype(int) + 1, corner + 16, np.maximum(size, corner + 16)) - corner
    sides -= sides % 2 * (sides > 16)  # most video encoders want even sides
    return int(corner[0]), int(corner[1]), int(sides[0]), int(sides[1])


def head_turn(points: np.ndarray) -> np.ndarray:
    """How far heads are turned and tilted, (T, 2), by their landmarks; about 0.5 from full face to profile.

    Where the middle of nose and mouth lies between the ends of the jaw, 0 in the middle; and how the nose's length
    compares with the face's. NaN where the points are not seen.
    """
    face = points[:, FACE].astype(np.float64)
    xy = np.where(face[..., 2:] >= CONFIDENT, face[..., :2], np.nan)
    jaw, nose, mouth = xy[:, :17], xy[:, 27:36], xy[:, 48:60]
    across = jaw[:, 16] - jaw[:, 0]
    length = np.maximum(np.linalg.norm(across, axis=-1), 1e-6)
    middle = (nose[:, 3] + nose[:, 6] + mouth.mean(1)) / 3 - (jaw[:, 0] + jaw[:, 16]) / 2
    yaw = (middle * across).sum(-1) / length**2
    down = jaw[:, 8] - nose[:, 0]
    pitch = ((nose[:, 3] - nose[:, 0]) * down).sum(-1) / np.maximum((down**2).sum(-1), 1e-6)
    return np.stack([yaw, pitch], -1)
