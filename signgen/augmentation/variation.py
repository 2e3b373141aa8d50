"""Changes of a copy that keep what is signed: tempo, signing space, small errors of the joints, framing, handedness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from signgen.errors import BadValue
from signgen.keypoints import Keypoints
from signgen.keypoints.repair.proportions import measure
from signgen.keypoints.skeleton import ARMS, FACE, NUM_JOINTS
from signgen.rendering.compositing import lift
from signgen.rendering.framing import Framing
from signgen.rendering.source import Source

# The most that may be asked for, and what `--vary all` asks for: beyond 15 % a sign's tempo begins to mean something.
LIMITS = {"tempo": 0.15, "space": 0.15, "tilt": 8.0, "noise": 0.02, "framing": 0.08}
USUAL = {"tempo": 0.15, "space": 0.08, "tilt": 4.0, "noise": 0.004, "framing": 0.04}
_ELBOW_FOLLOWS = 0.5  # share of its wrist's way that an elbow goes: the shoulder at the arm's other end stays


@dataclass(frozen=True)
class Variation:
    """How far copies may differ from their source; 0 leaves a thing alone.

    Attributes:
        tempo: largest relative change of speed, at most 0.15.
        space: largest relative change of the signing space's size.
        tilt: largest turn of the signing space in the picture, degrees.
        noise: standard deviation of the joints' errors, in shoulder widths; the face has none.
        framing: largest shift of the picture as a share of its sides, and its largest relative zoom.
        mirror: share of copies whose handedness is exchanged, 0 to 1.
    """

    tempo: float = 0.0
    space: float = 0.0
    tilt: float = 0.0
    noise: float = 0.0
    framing: float = 0.0
    mirror: float = 0.0

    def __post_init__(self) -> None:
        for name, most in {**LIMITS, "mirror": 1.0}.items():
            if not 0 <= getattr(self, name) <= most:
                option = "--mirror" if name == "mirror" else f"--vary {name}"
                raise BadValue(option, f"got {getattr(self, name)}", f"allowed are 0 to {most:g}")

    @classmethod
    def parse(cls, words: Sequence[str], mirror: float = 0.0) -> Variation:
        """From ``all``, ``none``, ``tempo``, ``tempo=0.1`` ...; later words win."""
        amounts: dict[str, float] = {}
        for word in words:
            name, equals, amount = word.partition("=")
            if word == "all":
                amounts.update(USUAL)
            elif word == "none":
                amounts.clear()
            elif name not in USUAL:
                raise BadValue("--vary", f"got {word!r}", f"use all, none, or {', '.join(USUAL)}, with =AMOUNT")
            else:
                amounts[name] = _number(word, amount) if equals else USUAL[name]
        return cls(**amounts, mirror=mirror)

    def draw(self, seed: int) -> Change:
        """The change of one copy. Every quantity has its own draw: leaving one out changes none of the others."""
        rng = np.random.default_rng([seed, 0])
        tempo, space, tilt, zoom, dx, dy = rng.uniform(-1, 1, 6)
        mirrored = bool(rng.uniform() < self.mirror)
        return Change(
            tempo=round(1 + self.tempo * tempo, 4),
            space=round(1 + self.space * space, 4),
            tilt=round(self.tilt * tilt, 3),
            noise=self.noise,
            zoom=round(1 + self.framing * zoom, 4),
            shift=(round(self.framing * dx, 4), round(self.framing * dy, 4)),
            mirrored=mirrored,
            seed=seed,
        )


@dataclass(frozen=True)
class Change:
    """The change of one copy: factors of speed, signing space and picture; degrees; shoulder widths; shares of W, H."""

    tempo: float
    space: float
    tilt: float
    noise: float
    zoom: float
    shift: tuple[float, float]
    mirrored: bool
    seed: int

    def label(self) -> dict[str, Any]:
        """For the manifest, as JSON gives it back."""
        values = asdict(self)
        del values["seed"]
        return {**values, "shift": list(self.shift)}

    def moved(self, clip: Keypoints) -> Keypoints:
        """The clip's keypoints with this change, in the clip's own frame and rate. InputError without shoulders."""
        if self.tempo != 1:
            clip = replace(clip.resample(min(clip.fps / self.tempo, 1000.0)), fps=clip.fps)
        if self.mirrored:
            clip = clip.mirror()
        if self.space != 1 or self.tilt:
            clip = _respaced(clip, self.space, np.deg2rad(self.tilt))
        return _noisy(clip, self.noise, self.seed) if self.noise else clip

    def framed(self, source: Source) -> Source:
        """The signer's picture with this framing, and where the person then stands; the size stays."""
        if self.zoom == 1 and self.shift == (0, 0):
            return source
        width, height = source.size
        sides = round(width / self.zoom), round(height / self.zoom)
        x = round((width - sides[0]) / 2 + self.shift[0] * width)
        y = round((height - sides[1]) / 2 + self.shift[1] * height)
        cut = Framing(source.size, source.size, source.size, x, y, *sides)
        person = None if source.keypoints is None else cut.to_canvas(source.keypoints)
        return replace(source, image=lift(source.image, cut), keypoints=person)


def _number(word: str, amount: str) -> float:
    try:
        return float(amount)
    except ValueError:
        raise BadValue("--vary", f"got {word!r}", "write an amount such as tempo=0.1") from None


def _respaced(clip: Keypoints, factor: float, turn: float) -> Keypoints:
    """Wrists moved about the middle of the shoulders, hands with them: larger or smaller signing, turned a little.

    Hands keep their size and turn with the space; elbows go half of their wrist's way.
    """
    middle = measure(clip).middle  # (2,)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    xy = clip.xy.astype(np.float64)
    out, seen = xy.copy(), clip.confidence > 0
    for _, elbow, wrist, hand in ARMS:
        wrist_xy, known = _wrist(xy, seen, wrist, hand)  # (T,2), (T,)
        way = np.where(known[:, None], middle + factor * (wrist_xy - middle) @ rotation.T - wrist_xy, 0)
        fingers = xy[:, hand] - wrist_xy[:, None]
        turned = np.where(known[:, None, None], fingers @ rotation.T, fingers)
        out[:, hand] = wrist_xy[:, None] + way[:, None] + turned
        out[:, wrist] += way
        out[:, elbow] += _ELBOW_FOLLOWS * way
    return replace(clip, xy=out)


def _wrist(xy: np.ndarray, seen: np.ndarray, wrist: int, hand: slice) -> tuple[np.ndarray, np.ndarray]:
    """What an arm's end is carried by: the hand's root, else the body's wrist, else the hand's seen points' mean."""
    points = seen[:, hand]
    mean = (xy[:, hand] * points[..., None]).sum(1) / np.maximum(points.sum(1), 1)[:, None]
    place = np.where(seen[:, wrist, None], xy[:, wrist], mean)
    place = np.where(seen[:, hand.start, None], xy[:, hand.start], place)
    return place, seen[:, wrist] | points.any(1)


def _noisy(clip: Keypoints, amount: float, seed: int) -> Keypoints:
    """Errors as an estimator makes them: a frame's depend on (seed, frame) alone, and half on its neighbours'."""
    errors = np.random.default_rng([seed, 1]).standard_normal((len(clip) + 2, NUM_JOINTS, 2))
    errors = (errors[:-2] + 2 * errors[1:-1] + errors[2:]) / np.sqrt(6)
    errors[:, FACE] = 0  # mouth shapes are a pixel or two: noise would change what is said
    return replace(clip, xy=clip.xy + amount * measure(clip).shoulders * errors)
