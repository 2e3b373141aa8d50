"""`Keypoints` -> pose images, the pictures of the driving signal that the generator sees.

Styles: ``signgen`` (anti-aliased, made to carry as much of the hands as a small picture can), ``fpdm`` (the drawing of
FPDM's released code, pixel for pixel, for weights trained on it), and ``solid`` (hands with an anatomy, fitted to the
points and lit, over the skeleton of body and face; `solid` is the package that fits them). ``fpdm18``, ``cfld18`` and
``imagpose18`` are the drawings of person synthesis: 18 points of the body, pixel for pixel as in these papers' code
(`body18`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from signgen.errors import BadValue, Mismatch
from signgen.keypoints.skeleton import BOTH_HANDS
from signgen.pose_image.shapes import FITS, window_for

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints
    from signgen.pose_image.solid import SolidHands

BODY_STYLES = ("fpdm18", "cfld18", "imagpose18")
STYLES = ("signgen", "fpdm", "solid", *BODY_STYLES)

__all__ = ["BODY_STYLES", "STYLES", "draw_frame", "draw_points", "draw_pose"]


def draw_pose(
    keypoints: Keypoints,
    size: tuple[int, int] | None = None,
    style: str = "signgen",
    start: int = 0,
    stop: int | None = None,
    stick: int | None = None,
    hands: SolidHands | None = None,
    fit: str = "keep",
    shutter: float = 0.0,
) -> np.ndarray:
    """Draws frames ``start`` to ``stop - 1`` of a clip.

    Args:
        keypoints: the clip; its pixels are scaled from its frame to ``size``.
        size: (width, height) of the pictures; the clip's own size if None.
        style: ``signgen``, ``fpdm`` or ``solid``; ``fpdm18``, ``cfld18`` or ``imagpose18``.
        start: first frame.
        stop: one after the last frame; the clip's end if None.
        stick: half width of a limb in pixels, style ``fpdm`` only (the reference's ``stickwidth``; 1 if None).
        hands: of the whole clip, style ``solid`` only, where they are known already (`solid.fit_hands`).
        fit: where ``size`` has another shape: ``keep`` shows more around the person or cuts empty margin,
            ``stretch`` squeezes. Not for ``hands`` that are given, which are of the clip's own frame.
        shutter: share of a frame's time over which fast hands are smeared, 0 to 1; style ``solid`` only.

    Returns:
        (T, H, W, 3) uint8 RGB.

    Raises:
        InputError: unknown style, a ``stick`` or ``shutter`` that the style does not have, or an empty picture.

    Example:
        >>> from signgen import draw_pose, read_keypoints
        >>> draw_pose(read_keypoints("clip.pose").keypoints, size=(105, 130)).shape
        (4, 130, 105, 3)
    """
    if fit not in FITS:
        raise BadValue("fit", f"got {fit!r}", f"choose one of {', '.join(FITS)}")
    if size is not None and min(size) >= 1 and hands is None and fit == "keep":
        window = window_for(keypoints.sample(), size)
        keypoints = keypoints if window is None else window.of(keypoints)
    xy, confidence = keypoints.xy[start:stop], keypoints.confidence[start:stop]
    frames = slice(*slice(start, stop).indices(len(keypoints)))
    if style == "solid" and hands is None:  # a frame's hands depend on all frames before it
        from signgen.pose_image.solid import fit_hands

        hands = fit_hands(keypoints[: max(frames.stop, 1)])
    sizes = keypoints.size, size or keypoints.size
    return draw_points(xy, confidence, *sizes, style, stick, hands, frames.start, shutter)


def draw_frame(
    xy: np.ndarray, confidence: np.ndarray, size: tuple[int, int], style: str = "signgen", stick: int | None = None
) -> np.ndarray:
    """Draws one pose.

    Args:
        xy: (133, 2) pixels of a picture of ``size``, y down.
        confidence: (133,), 0 to 1, 0 = missing.
        size: (width, height).
        style, stick: as in `draw_pose`.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return draw_points(np.asarray(xy)[None], np.asarray(confidence)[None], size, size, style, stick)[0]


def draw_points(
    xy: np.ndarray,
    confidence: np.ndarray,
    frame_size: tuple[int, int],
    size: tuple[int, int],
    style: str,
    stick: int | None = None,
    hands: SolidHands | None = None,
    first: int = 0,
    shutter: float = 0.0,
) -> np.ndarray:
    """Draws poses: (T,133,2) pixels of ``frame_size``, (T,133) -> (T,H,W,3) uint8 of ``size``.

    ``hands`` are those of a clip in which these frames begin at ``first``; None to fit these frames alone.
    """
    if min(size) < 1:
        raise BadValue("size", f"got {size[0]}x{size[1]}", "width and height must be at least 1 pixel")
    if stick is not None and style != "fpdm":
        raise Mismatch("--stick", f"got {stick} for style {style}", "only style fpdm has a stick width")
    if not 0 <= shutter <= 1:
        raise BadValue("--shutter", f"got {shutter}", "it is a share of a frame's time, 0 (crisp) to 1")
    if shutter and style != "solid":
        raise Mismatch("--shutter", f"got {shutter:g} for style {style}", "only style solid smears fast hands")
    if style == "signgen":
        from signgen.pose_image.strokes import draw_clip

        return draw_clip(xy, confidence, frame_size, size)
    if style == "fpdm":
        from signgen.pose_image.fpdm import draw_clip as draw_reference

        return draw_reference(xy, confidence, frame_size, size, 1 if stick is None else stick)
    if style in BODY_STYLES:
        from signgen.pose_image.body18 import draw_clip as draw_bodies

        return draw_bodies(xy, confidence, frame_size, size, style)
    if style == "solid":
        from signgen.pose_image.solid import HandFitter

        hands = hands or HandFitter(frame_size, pixel_aspect=None).fit(xy, confidence)
        body = np.array(confidence)
        body[:, BOTH_HANDS] = 0
        pictures = draw_points(xy, body, frame_size, size, "signgen")
        for number, picture in enumerate(pictures):
            hands.draw(first + number, picture, frame_size, shutter)
        return pictures
    raise BadValue("style", f"got {style!r}", f"choose one of {', '.join(STYLES)}")
