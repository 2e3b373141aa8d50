"""What happens when something on the first tab is clicked or dropped."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from signgen.app.context import Context
from signgen.app.examples import EXAMPLES
from signgen.app.feed import data_url
from signgen.app.job import Ended, follow
from signgen.app.opening import Clip, open_clip, open_example, open_picture, parse_part
from signgen.app.rendering import Order, Rendered, render_job
from signgen.app.status import failure, happening, opened, rendered, say
from signgen.errors import InputError, SignGenError

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints

# Keypoints for the browser, which draws them itself: small, at once, and sharp on every screen.


PER_PIXEL = 4  # units of a coordinate
MISSING = -32768
_FARTHEST = 32000


def packed(keypoints: Keypoints) -> str:
    """x and y of all points as base64 of little-endian int16 (T,133,2), quarter pixels, `MISSING` where not seen."""
    points = np.clip(np.rint(keypoints.xy * PER_PIXEL), -_FARTHEST, _FARTHEST).astype("<i2")
    points[keypoints.confidence <= 0] = MISSING
    return base64.b64encode(points.tobytes()).decode("ascii")


def strokes() -> list[list[Any]]:
    """What to draw, in order: [point, point, colour as #rrggbb, width for a frame of 260 rows]."""
    from signgen.keypoints.skeleton import FINGERS, LIMB_GROUPS
    from signgen.pose_image.palette import FINGER_WIDTH, GROUPS, LEFT_FINGERS, RIGHT_FINGERS, WRIST_LINKS

    drawn: list[list[Any]] = []
    for name, (colour, width) in GROUPS.items():
        pairs = (*LIMB_GROUPS[name], *WRIST_LINKS.get(name, ()))
        drawn += [[a, b, _hex(colour), width] for a, b in pairs]
    for side, colours in (("left", LEFT_FINGERS), ("right", RIGHT_FINGERS)):
        for finger, colour in zip(FINGERS, colours, strict=True):
            drawn += [[a, b, _hex(colour), FINGER_WIDTH] for a, b in LIMB_GROUPS[f"{side}_{finger}"]]
    return drawn


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def show(keypoints: Keypoints, title: str, live: str | None = None) -> str:
    """What the page's player is told, as JSON.

    Args:
        keypoints: the frames to be shown.
        title: name of the clip.
        live: key of the feed that will have the rendered frames.
    """
    width, height = keypoints.size
    content = {
        "title": title, "frames": len(keypoints), "width": width, "height": height, "fps": keypoints.fps,
        "points": packed(keypoints), "live": live,
    }  # fmt: skip
    return json.dumps(content)


Update = dict[Any, Any]


class RenderTab:
    """The first tab's callbacks.

    Args:
        context: what all requests share.
        parts: the tab's components by name.
    """

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self._context, self._parts = context, parts

    def example(self, number: int, picture: str | None) -> Update:
        """One of the package's own clips is chosen; an uploaded picture stays who signs it."""
        example, parts = EXAMPLES[number], self._parts
        signer = {} if picture is not None else {parts["signer"]: example.signer}
        return {**self._opened(open_example(example.path, example.signer)), **signer, parts["files"]: None}

    def upload(
        self,
        paths: list[str] | None,
        name: str | None,
        frame_size: str | None,
        fps: float | None,
        known: list[str] | None,
    ) -> Update:
        """Keypoint files were dropped, or what is said about them was changed.

        The page adds what is dropped to what is there: files that are not ``known`` take the place of those.
        """
        parts = self._parts
        if not paths:
            return {parts["clip"]: gr.skip()}
        new = [path for path in paths if path not in (known or [])]
        chosen = list(dict.fromkeys(new or paths))
        given = {parts["known"]: chosen, **({parts["files"]: chosen} if chosen != paths else {})}
        try:
            clip = open_clip(chosen, self._context.workplace, self._context.limits, name or "", frame_size or "", fps)
        except SignGenError as error:
            return {**given, parts["clip"]: None, parts["status"]: failure(error), parts["player"]: ""}
        return {**given, **self._opened(clip)}

    def _opened(self, clip: Clip) -> Update:
        parts = self._parts
        return {
            parts["clip"]: clip,
            parts["player"]: show(clip.keypoints, clip.name),
            parts["status"]: opened(clip),
            parts["results"]: gr.update(visible=False),
        }

    def picture(self, path: str | None, keypoints: str | None, signer: str) -> Update:
        """A picture of a signer was dropped, or taken away: shows it, or says why it cannot be used."""
        from signgen.rendering.source import builtin_names

        shown, chosen = self._parts["picture_shown"], self._parts["signer"]
        if path is None:
            return {shown: "", chosen: signer or builtin_names()[0]}
        try:
            source = open_picture(path, keypoints, self._context.workplace, self._context.limits)
        except SignGenError as error:
            return {shown: failure(error), chosen: ""}
        words = "is used instead of a built-in signer."
        if source.keypoints is None:
            words += " Nobody has said where the person stands: mid-frame is assumed, and the skeleton is not fitted."
        image = f'<img src="{data_url(source.image)}" alt="The uploaded picture">'
        return {shown: f'<div class="sg-picture">{image}<p>{escape(source.name)} {words}</p></div>', chosen: ""}

    def signer(self, name: str) -> Update:
        """A built-in signer was chosen: a picture that was uploaded before is put away."""
        if not name:  # the picture itself has taken the place
            return {self._parts["picture_shown"]: gr.skip()}
        return {self._parts[part]: None for part in ("picture", "picture_keypoints")}

    def stop(self, request: gr.Request) -> None:
        """The user does not want to wait any longer, or has left."""
        self._context.turns.call_off(str(request.session_hash))

    def render(
        self,
        clip: Clip | None,
        signer: str,
        picture: str | None,
        picture_keypoints: str | None,
        original: str | None,
        align: bool,
        fill_hands: bool,
        smooth: float | None,
        part: str | None,
        seed: float | None,
        request: gr.Request,
    ) -> Iterator[Update]:
        """Renders, and says how it goes."""
        parts = self._parts
        feed = self._context.feeds.new()
        try:
            order = self._order(
                clip, signer, picture, picture_keypoints, original, align, fill_hands, smooth, part, seed
            )
            work = render_job(order, self._context.model, feed, self._context.limits)
            events = follow(self._context.turns, str(request.session_hash), work)
            frames = order.frames()
            shown = order.clip.keypoints[frames.start : frames.stop]
            yield {
                parts["player"]: show(shown, order.clip.name, feed.key),
                parts["start"]: gr.update(interactive=False),
                parts["stop"]: gr.update(visible=True),
                parts["results"]: gr.update(visible=False),
            }
            for event in events:
                if isinstance(event, Ended):
                    yield self._ended(event)
                else:
                    yield {parts["status"]: happening(event)}
        except SignGenError as error:
            yield {**self._idle(), parts["status"]: failure(error)}
        finally:
            feed.close()

    def _order(
        self, clip: Clip | None, signer: str, picture: str | None, picture_keypoints: str | None, original: str | None,
        align: bool, fill_hands: bool, smooth: float | None, part: str | None, seed: float | None,
    ) -> Order:  # fmt: skip
        """The checked request."""
        from signgen.rendering import RenderSettings
        from signgen.rendering.source import builtin_names, load_source

        workplace, limits = self._context.workplace, self._context.limits
        if clip is None:
            raise InputError("keypoints", "nothing is chosen yet", "choose an example or drop a keypoint file")
        if picture is not None:
            source = open_picture(picture, picture_keypoints, workplace, limits)
        elif signer in builtin_names():  # a name from outside must never be taken for a path
            source = load_source(signer)
        else:
            raise InputError("signer", f"got {signer!r}", f"choose one of {', '.join(builtin_names())}")
        settings = RenderSettings(
            align=source.keypoints is not None and (align or not clip.placed),
            fill_hands=bool(fill_hands),
            smooth=smooth or None,
            frames=parse_part(part or ""),
            seed=int(seed or 0),
        )
        true_video = None if original is None else workplace.accept(original)
        return Order(clip, source, settings, workplace.folder(), true_video)

    def _idle(self) -> Update:
        parts = self._parts
        return {parts["start"]: gr.update(interactive=True), parts["stop"]: gr.update(visible=False)}

    def _ended(self, event: Ended) -> Update:
        status = self._parts["status"]
        if event.error is not None:
            return {**self._idle(), status: failure(event.error)}
        if event.result is None:
            return {**self._idle(), status: say("Stopped. The frames made so far can still be looked at.")}
        done: Rendered = event.result
        parts = self._parts
        return {
            **self._idle(),
            status: rendered(done.result),
            parts["results"]: gr.update(visible=True),
            parts["video"]: str(done.video),
            parts["compare"]: str(done.compare),
            parts["get_video"]: gr.update(value=str(done.video)),
            parts["get_compare"]: gr.update(value=str(done.compare)),
            parts["get_manifest"]: gr.update(value=str(done.manifest)),
            parts["get_poses"]: gr.update(value=str(done.poses)),
        }
