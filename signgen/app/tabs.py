"""What happens when something on the page's two tabs is clicked or dropped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import gradio as gr

from signgen.app.clips import EXAMPLES, Clip, open_clip, open_picture, parse_part
from signgen.app.context import Context
from signgen.app.jobs import Ended, Work, follow
from signgen.app.live import LiveStream, data_url, player_content
from signgen.app.rendering import Order, Rendered, render_job
from signgen.app.scoring import Pair, Scored, score_job, score_table
from signgen.app.status import box, failure, notes, opened, progress, rendered
from signgen.errors import BadValue, Missing, SignGenError

Update = dict[Any, Any]  # component -> its new value, or what `gr.update` gives
Given = dict[Any, Any]  # component -> what is in it
_REPORT = (
    '<iframe class="sg-report" title="Report of the evaluation" src="report/{key}" sandbox="allow-scripts"></iframe>'
)


class Tab(ABC):
    """A tab that starts one kind of job and shows how it goes.

    Args:
        context: what all requests share.
        parts: the tab's components by name: ``start``, ``stop``, ``status`` and ``results`` among them.
    """

    kind = "job"
    stopped = "Stopped."

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self._context, self._parts = context, parts

    def stop(self, request: gr.Request) -> None:
        """The user does not want to wait any longer, or has left."""
        self._context.jobs.cancel(str(request.session_hash))

    def _values(self, given: Given) -> dict[str, Any]:
        """What is in the components, by their names."""
        return {name: given[part] for name, part in self._parts.items() if part in given}

    def _run(self, request: gr.Request, prepare: Callable[[], tuple[Work, Update]]) -> Iterator[Update]:
        """Starts the job that ``prepare`` gives, with what the page shows meanwhile, and follows it."""
        parts = self._parts
        idle = {parts["start"]: gr.update(interactive=True), parts["stop"]: gr.update(visible=False)}
        try:
            work, shown = prepare()
            events = follow(self._context.jobs, str(request.session_hash), work, self.kind)
            yield {
                **shown,
                parts["start"]: gr.update(interactive=False),
                parts["stop"]: gr.update(visible=True),
                parts["results"]: gr.update(visible=False),
            }
            for event in events:
                if not isinstance(event, Ended):
                    yield {parts["status"]: progress(event)}
                elif event.error is not None:
                    yield {**idle, parts["status"]: failure(event.error)}
                elif event.result is None:
                    yield {**idle, parts["status"]: box(self.stopped)}
                else:
                    yield {**idle, parts["results"]: gr.update(visible=True), **self._done(event.result)}
        except SignGenError as error:
            yield {**idle, parts["status"]: failure(error)}

    @abstractmethod
    def _done(self, result: Any) -> Update:
        """What a result is shown as."""


class RenderTab(Tab):
    """The first tab: a clip and a signer in, a watched render and its files out."""

    kind = "render"
    stopped = "Stopped. The frames made so far can still be looked at."

    def example(self, number: int, picture: str | None) -> Update:
        """One of the package's own clips is chosen; an uploaded picture stays who signs it."""
        example, parts = EXAMPLES[number], self._parts
        signer = {} if picture is not None else {parts["signer"]: example.signer}
        return {**self._opened(example.open()), **signer, parts["files"]: None}

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
        parts, context = self._parts, self._context
        if not paths:
            return {parts["clip"]: gr.skip()}
        new = [path for path in paths if path not in (known or [])]
        chosen = list(dict.fromkeys(new or paths))
        update = {parts["known"]: chosen, **({parts["files"]: chosen} if chosen != paths else {})}
        try:
            clip = open_clip(chosen, context.workspace, context.limits, name or "", frame_size or "", fps)
        except SignGenError as error:
            return {**update, parts["clip"]: None, parts["status"]: failure(error), parts["player"]: ""}
        return {**update, **self._opened(clip)}

    def _opened(self, clip: Clip) -> Update:
        parts = self._parts
        return {
            parts["clip"]: clip,
            parts["player"]: player_content(clip.keypoints, clip.name),
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
            source = open_picture(path, keypoints, self._context.workspace, self._context.limits)
        except SignGenError as error:
            return {shown: failure(error), chosen: ""}
        text = f"{source.name} is used instead of a built-in signer."
        if source.keypoints is None:
            text += " There are no keypoints of the picture: the person is taken to stand in the middle,"
            text += " and the skeleton is not fitted."
        image = f'<img src="{data_url(source.image)}" alt="The uploaded picture">'
        return {shown: f'<div class="sg-picture">{image}<p>{escape(text)}</p></div>', chosen: ""}

    def signer(self, name: str) -> Update:
        """A built-in signer was chosen: a picture that was uploaded before is removed."""
        if not name:  # the picture itself has taken the place
            return {self._parts["picture_shown"]: gr.skip()}
        return {self._parts[part]: None for part in ("picture", "picture_keypoints")}

    def render(self, given: Given, request: gr.Request) -> Iterator[Update]:
        """Renders, and says how it goes."""
        context, stream = self._context, LiveStream()

        def prepare() -> tuple[Work, Update]:
            order = self._order(**self._values(given))
            frames = order.frames()
            shown = order.clip.keypoints[frames.start : frames.stop]
            work = render_job(order, context.model, stream, context.limits)
            key = context.streams.add(stream)
            return work, {self._parts["player"]: player_content(shown, order.clip.name, key)}

        try:
            yield from self._run(request, prepare)
        finally:
            stream.close()

    def _order(
        self, clip: Clip | None, signer: str, picture: str | None, picture_keypoints: str | None, original: str | None,
        align: bool, fill_hands: bool, smooth: float | None, part: str | None, seed: float | None,
    ) -> Order:  # fmt: skip
        """The checked request."""
        from signgen.rendering import RenderSettings
        from signgen.rendering.source import builtin_names, load_source

        workspace, limits = self._context.workspace, self._context.limits
        if clip is None:
            raise Missing("keypoints", "nothing is chosen yet", "choose an example or drop a keypoint file")
        if picture is not None:
            source = open_picture(picture, picture_keypoints, workspace, limits)
        elif signer in builtin_names():  # a name from outside must never be taken for a path
            source = load_source(signer)
        else:
            raise BadValue("signer", f"got {signer!r}", f"choose one of {', '.join(builtin_names())}")
        settings = RenderSettings(
            align=source.keypoints is not None and (align or not clip.placed),
            fill_hands=bool(fill_hands),
            smooth=smooth or None,
            frames=parse_part(part or ""),
            seed=int(seed or 0),
        )
        true_video = None if original is None else workspace.accept(original)
        return Order(clip, source, settings, workspace.folder(), true_video)

    def _done(self, result: Rendered) -> Update:
        parts, (done, poses) = self._parts, result
        files = {"video": done.output, "compare": done.compare, "manifest": done.manifest, "poses": poses}
        return {
            parts["status"]: rendered(done),
            parts["video"]: str(done.output),
            parts["compare"]: str(done.compare),
            **{parts[f"get_{name}"]: gr.update(value=str(file)) for name, file in files.items()},
        }


class ScoreTab(Tab):
    """The second tab: two videos in, their scores and a report out."""

    kind = "score"

    def score(self, given: Given, request: gr.Request) -> Iterator[Update]:
        """Scores, and says how it goes."""

        def prepare() -> tuple[Work, Update]:
            return score_job(self._pair(**self._values(given)), self._context.limits), {}

        yield from self._run(request, prepare)

    def _pair(
        self, generated: str | None, reference: str | None, keypoints: str | None, lengths: bool, sizes: bool
    ) -> Pair:
        """The checked request."""
        workspace = self._context.workspace
        if generated is None or reference is None:
            raise Missing("videos", "one is missing", "choose a generated and a true video")
        return Pair(
            workspace.accept(generated),
            workspace.accept(reference),
            None if keypoints is None else workspace.accept(keypoints),
            "common" if lengths else "error",
            "resize" if sizes else "error",
            workspace.folder(),
        )

    def _done(self, result: Scored) -> Update:
        parts = self._parts
        return {
            parts["status"]: box("Done.", "good", notes(list(result.result.warnings))),
            parts["table"]: score_table(result.result),
            parts["report"]: _REPORT.format(key=self._context.reports.add(result.report)),
            parts["get_report"]: gr.update(value=str(result.report)),
        }
