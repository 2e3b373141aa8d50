"""Source, driving keypoints, canvas and output brought into one system of coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from signgen.errors import Missing
from signgen.keypoints import Keypoints
from signgen.keypoints.pieces import Pieces
from signgen.keypoints.repair.align import Completion, align_to
from signgen.keypoints.skeleton import BOTH_HANDS, LEFT_ELBOW, RIGHT_WRIST
from signgen.pose_image.shapes import Window, same_shape, window_for
from signgen.rendering.backdrop import Backdrop
from signgen.rendering.compositing import Compositor, lift, resized
from signgen.rendering.framing import (
    HANDS_OUT,
    Framing,
    Size,
    Stance,
    choose_framing,
    find_stance,
    fitted,
    hands_outside,
    misfit,
    typical_stance,
)
from signgen.rendering.source import Source

ZOOMS = (1.08, 1.16, 1.25, 1.35)  # tried for wide signing; beyond, people get smaller than models have learned
_ARMS = slice(LEFT_ELBOW, RIGHT_WRIST + 1)  # without the shoulders


@dataclass(frozen=True)
class Scene:
    """Everything a clip's windows need that does not depend on the model.

    Attributes:
        image: uint8 (H,W,3), the source on the canvas.
        person: the source person's keypoints on the canvas (one frame), or None.
        driving: the clip's keypoints on the canvas, all frames.
        framing: where the canvas lies in the output.
        surroundings: uint8 (H,W,3) of the output's size, what is seen around the canvas; None: the source's border.
        warnings: what the user should know.
        window: what the output shows of the driving frame; None: all of it.
        more: further pictures of the person on the canvas, with their keypoints there, or None.
        given: frames of the clip that are not to be rendered, by number: uint8 (H,W,3) on the canvas.
        onto_canvas: brings more frames of the same person, in the driving frame, to where ``driving`` is.
    """

    image: np.ndarray
    person: Keypoints | None
    driving: Keypoints | Pieces
    framing: Framing
    surroundings: np.ndarray | None
    warnings: list[str]
    window: Window | None = None
    more: Sequence[tuple[np.ndarray, Keypoints | None]] = ()
    given: Mapping[int, np.ndarray] = field(default_factory=dict)
    onto_canvas: Callable[[Keypoints], Keypoints] | None = None


def build_scene(
    source: Source,
    driving: Keypoints | Pieces,
    canvas: Size,
    pixel_aspect: float,
    output: Size | None,
    align: bool,
    fit: str = "keep",
    more: Sequence[Source] = (),
    given: Mapping[int, Source] | None = None,
) -> Scene:
    """Lays source and driving person onto the canvas.

    Args:
        source: the picture of the person.
        driving: the whole clip's keypoints in its own frame.
        canvas: (W,H) of the model's frames.
        pixel_aspect: shown width / true width of things on the canvas.
        output: (W,H) of the output; None for the driving frame's.
        fit: what happens where the output has another shape than the driving frame: ``keep``: backdrop is added or
            empty margin cut, see `window_for`; ``stretch``.
        align: fit the driving skeleton to the source person's proportions and place.
        more: further pictures of the person.
        given: frames of the clip, by number, as the output shall have them.
    """
    if align and source.keypoints is None:
        raise Missing("--align", f"it is not known where {source.name} shows the person", "add --source-keypoints")
    output = output or (driving.width, driving.height)
    pieces = driving if isinstance(driving, Pieces) else None
    driving = driving.sample() if isinstance(driving, Pieces) else driving
    window = window_for(driving, output) if fit == "keep" else None
    taken_as_it_is = same_shape(driving.size, canvas)
    driving = driving if window is None else window.of(driving)
    laid = _laid(source, driving, canvas, pixel_aspect, output, window)
    outside = 0.0 if taken_as_it_is else hands_outside(driving, laid[0].framing)
    for zoom in ZOOMS:
        if outside <= HANDS_OUT:
            break
        wider = _laid(source, driving, canvas, pixel_aspect, output, window, zoom)
        if (share := hands_outside(driving, wider[0].framing)) < outside:
            laid, outside = wider, share
    scene, reference, notes = laid
    person, laid_out = scene.person, scene.framing.to_canvas(driving)
    aligned = laid_out
    if align and person is not None:
        aligned, report = align_to(laid_out, _trunk(person))
        notes = [*report.warnings, *misfit(aligned, reference, canvas)]
    on_canvas, completes = aligned, person is not None and find_stance(person, facing=True) is not None
    completes = completes and find_stance(aligned) is not None
    completion = None
    if person is not None and completes:
        completion = Completion(person, aligned)
        on_canvas, completed = completion.of(aligned)
        notes = [*notes, *completed]

    def fitted_piece(piece: Keypoints) -> Keypoints:
        """The same for a piece of a long clip, measured by what is seen in all of it."""
        piece = piece if window is None else window.of(piece)
        piece = scene.framing.to_canvas(piece)
        if align and person is not None:
            piece, _ = align_to(piece, _trunk(person), laid_out)
        return piece if completion is None else completion.of(piece)[0]

    shown = on_canvas if pieces is None else pieces.then(fitted_piece, on_canvas)
    reshaped = [] if window is None else [window.line("--size", output)]
    others = [place_source(one, canvas, pixel_aspect) for one in more]
    return replace(
        scene,
        driving=shown,
        window=window,
        warnings=list(dict.fromkeys([*reshaped, *scene.warnings, *notes, *(n for other in others for n in other[-1])])),
        more=[other[:2] for other in others],
        given={number: _on_canvas(one, scene.framing) for number, one in (given or {}).items()},
        onto_canvas=fitted_piece,
    )


def _on_canvas(picture: Source, framing: Framing) -> np.ndarray:
    """A frame of the output as a frame of the canvas."""
    return lift(resized(picture.image, framing.output), framing)


def _laid(
    source: Source,
    driving: Keypoints,
    canvas: Size,
    pixel_aspect: float,
    output: Size,
    window: Window | None,
    zoom: float = 1.0,
) -> tuple[Scene, Stance, list[str]]:
    """Source and driving person on a canvas that shows ``zoom`` times as much as usual.

    Returns:
        The scene, not aligned yet, the source person's stance on the canvas, and warnings about the framing.
    """
    image, person, lifted, warnings = place_source(source, canvas, pixel_aspect, zoom)
    found = find_stance(person, facing=True) if person is not None else None
    reference = found or typical_stance(canvas).zoomed_out(zoom, canvas)
    framing, notes = choose_framing(
        driving, reference, canvas, output, pixel_aspect, known=person is not None, window=window
    )
    surroundings = None
    if not framing.identity and _in_place(source, driving if window is None else window.back(driving)):
        notes = []
        if window is None:
            framing, surroundings = replace(lifted.onto(output), driving=source.size), resized(source.image, output)
        else:
            framing = lifted.seen_through(window, output)
            whole = Framing(source.size, source.size, source.size, 0, 0, *source.size)
            backdrop = None
            if source.keypoints is not None and source.kind != "signer":
                backdrop = Backdrop(source.image, source.keypoints)
            whole = whole.seen_through(window, output)
            surroundings = Compositor(source.image, whole, backdrop=backdrop).compose(source.image)
    if zoom > 1:
        notes = [f"wide signing: the person is painted {1 / zoom:.2f} x as large, so that the hands fit", *notes]
    return Scene(image, person, framing.to_canvas(driving), framing, surroundings, warnings), reference, notes


def _trunk(person: Keypoints) -> Keypoints:
    """The person without arms and hands: one picture shows them foreshortened, and says nothing about their length."""
    confidence = person.confidence.copy()
    confidence[:, _ARMS] = confidence[:, BOTH_HANDS] = 0
    return replace(person, confidence=confidence)


def _in_place(source: Source, driving: Keypoints) -> bool:
    """True if the keypoints are given in the source's own frame and the person stands where the source person does."""
    if (driving.width, driving.height) != source.size or source.keypoints is None:
        return False
    stance = find_stance(source.keypoints, facing=True)
    return stance is not None and not misfit(driving, stance, source.size)


def place_source(
    source: Source, canvas: Size, pixel_aspect: float, zoom: float = 1.0
) -> tuple[np.ndarray, Keypoints | None, Framing, list[str]]:
    """The source as a canvas: resized if it has the canvas's shape, else cut out around the person.

    ``zoom``: how many times as much the canvas shows; beyond the picture its border is repeated.

    Returns:
        uint8 (H,W,3) of the canvas's size, the person's keypoints on it or None, which part of the source was taken,
        and warnings.
    """
    warnings = [] if source.keypoints is not None else [_unknown_person(source)]
    if same_shape(source.size, canvas):
        framing = Framing(source.size, canvas, source.size, 0, 0, *source.size)
    else:
        framing = _source_framing(source, canvas, pixel_aspect)
        warnings.append(
            f"{source.name} is {source.size[0]}x{source.size[1]}: {framing.width}x{framing.height} pixels of it from"
            f" ({framing.x}, {framing.y}) on are used, the model paints {canvas[0]}x{canvas[1]}"
        )
    framing = framing.zoomed_out(zoom) if zoom > 1 else framing
    person = None if source.keypoints is None else framing.to_canvas(source.keypoints)
    return lift(source.image, framing), person, framing, warnings


def _unknown_person(source: Source) -> str:
    return f"no keypoints of {source.name} are known: its person is taken to stand mid-frame; see --source-keypoints"


def _source_framing(source: Source, canvas: Size, pixel_aspect: float) -> Framing:
    """The part of the source that becomes the canvas: around the person if known, else the largest in the middle."""
    stance = None if source.keypoints is None else find_stance(source.keypoints, facing=True)
    if stance is not None:
        found = fitted(source.size, stance, typical_stance(canvas), canvas, source.size, pixel_aspect)
        if found is not None:
            return found
    width, height = source.size
    aspect = canvas[0] / (canvas[1] * pixel_aspect)
    cut = min(width, round(height * aspect)), min(height, round(width / aspect))
    return Framing(source.size, canvas, source.size, (width - cut[0]) // 2, (height - cut[1]) // 2, *cut)
