"""What happens when something on the page's two tabs is clicked or dropped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from signgen.app.clips import EXAMPLES, Clip, open_background, open_clip, open_pictures, parse_colour, parse_part
from signgen.app.context import COOKIE, Context, Visitor
from signgen.app.jobs import Cancelled, Ended, Event, Job, Report, Waiting, Work, Working, follow
from signgen.app.learning import LONGEST, Learned, Lesson, learn_job, learned_table, open_lesson
from signgen.app.live import LiveStream, data_url, player_content
from signgen.app.rendering import Order, Rendered, render_job
from signgen.app.scoring import Pair, Scored, score_job, score_table
from signgen.app.status import box, failure, notes, opened, progress, rendered
from signgen.errors import BadValue, Missing, SignGenError
from signgen.processes import Bounds

if TYPE_CHECKING:
    from signgen.rendering.source import Source

OWN, NOTHING, COLOUR, PICTURE = BACKGROUNDS = "The signer's own", "None", "A colour", "A picture"
SHEET_SIDE = 1600  # px of the sheet of a model that learns
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
    long = False  # whether others go first, again and again
    stopped = "Stopped."

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self._context, self._parts = context, parts

    def stop(self, request: gr.Request) -> None:
        """The user does not want to wait any longer for what this tab does."""
        self._context.jobs.cancel(self._owner(request))
        self._context.readers.cancel(str(request.session_hash))

    def leave(self, request: gr.Request) -> None:
        """The user has left: nothing of theirs goes on, in whatever tab."""
        for jobs in (self._context.jobs, self._context.readers):
            jobs.cancel(str(request.session_hash))

    def _owner(self, request: gr.Request) -> str:
        return f"{request.session_hash}/{self.kind}"

    def _visitor(self, request: gr.Request) -> Visitor:
        return self._context.workspace.visitor(request.cookies[COOKIE])

    def _read(self, request: gr.Request, what: str, read: Callable[[Job], Any]) -> Iterator[Event]:
        """Reads what a visitor has sent, when it is its turn; `Ended` comes last. A newer one of ``what`` ends it."""

        def work(job: Job, report: Report) -> Any:
            return read(job)

        return follow(self._context.readers, f"{request.session_hash}/{what}", work, what)

    def _values(self, given: Given) -> dict[str, Any]:
        """What is in the components, by their names."""
        return {name: given[part] for name, part in self._parts.items() if part in given}

    def _run(self, request: gr.Request, prepare: Callable[[], tuple[Work, Update]]) -> Iterator[Update]:
        """Starts the job that ``prepare`` gives, with what the page shows meanwhile, and follows it."""
        parts = self._parts
        idle = {parts["start"]: gr.update(interactive=True), parts["stop"]: gr.update(visible=False)}
        try:
            self._context.check_room()
            work, shown = prepare()
            kept = self._visitor(request).keep
            events = follow(self._context.jobs, self._owner(request), work, self.kind, self.long, kept)
            yield {
                **shown,
                parts["start"]: gr.update(interactive=False),
                parts["stop"]: gr.update(visible=True),
                parts["results"]: gr.update(visible=False),
            }
            for event in events:
                if not isinstance(event, Ended):
                    yield {parts["status"]: progress(event), **self._meanwhile(event)}
                elif event.replaced:  # what is shown belongs to the newer job
                    return
                elif event.error is not None:
                    yield {**idle, parts["status"]: failure(event.error)}
                elif event.result is None:
                    yield {**idle, parts["status"]: box(self.stopped)}
                else:
                    yield {**idle, parts["results"]: gr.update(visible=True), **self._done(event.result)}
        except SignGenError as error:
            yield {**idle, parts["status"]: failure(error)}

    def _meanwhile(self, event: Waiting | Working) -> Update:
        """What else is shown while it goes on."""
        return {}

    @abstractmethod
    def _done(self, result: Any) -> Update:
        """What a result is shown as."""


class RenderTab(Tab):
    """The first tab: a clip and a signer in, a watched render and its files out."""

    kind = "render"
    stopped = "Stopped. The frames made so far can still be looked at."

    def example(self, number: int, picture: list[str] | None) -> Update:
        """One of the package's own clips is chosen; an uploaded picture stays who signs it."""
        example, parts = EXAMPLES[number], self._parts
        signer = {} if picture else {parts["signer"]: example.signer}
        return {**self._opened(example.open()), **signer, parts["files"]: None}

    def upload(
        self,
        paths: list[str] | None,
        name: str | None,
        frame_size: str | None,
        fps: float | None,
        known: list[str] | None,
        request: gr.Request,
    ) -> Iterator[Update]:
        """Keypoint files were dropped, or what is said about them was changed.

        The page adds what is dropped to what is there: files that are not ``known`` take the place of those.
        """
        parts, context = self._parts, self._context
        if not paths:
            yield {parts["clip"]: gr.skip()}
            return
        new = [path for path in paths if path not in (known or [])]
        chosen = list(dict.fromkeys(new or paths))
        update = {parts["known"]: chosen, **({parts["files"]: chosen} if chosen != paths else {})}
        plain = [str(path) for path in chosen]  # Gradio's own kind of text would have Gradio imported to be sent
        given = (plain, self._visitor(request), context.limits, name or "", frame_size or "", fps)

        def read(job: Job) -> Clip:
            return context.apart(job, Path(chosen[0]).name, context.limits.reading, open_clip, *given)

        try:
            for event in self._read(request, "keypoints", read):
                if not isinstance(event, Ended):
                    yield {parts["status"]: progress(event)}
                elif event.error is not None:
                    raise event.error
                elif event.result is not None:
                    yield {**update, **self._opened(event.result)}
        except SignGenError as error:
            yield {**update, parts["clip"]: None, parts["status"]: failure(error), parts["player"]: ""}

    def _opened(self, clip: Clip) -> Update:
        parts = self._parts
        return {
            parts["clip"]: clip,
            parts["player"]: player_content(clip.keypoints, clip.name),
            parts["status"]: opened(clip),
            parts["results"]: gr.update(visible=False),
        }

    def picture(
        self,
        paths: list[str] | None,
        keypoints: list[str] | None,
        frames: float | None,
        signer: str,
        request: gr.Request,
    ) -> Iterator[Update]:
        """Pictures of a signer were dropped, or taken away: shows them, or says why they cannot be used."""
        context, person = self._context, self._parts["person"]
        shown, chosen = self._parts["picture_shown"], self._parts["signer"]
        if not paths:
            yield {shown: "", person: None, chosen: signer or context.signers[0]}
            return
        places = [str(path) for path in paths], [str(path) for path in keypoints or ()]
        given, name = (*places, self._visitor(request), context.limits, int(frames or 1)), Path(paths[0]).name

        def read(job: Job) -> list[Source]:
            return context.apart(job, name, context.limits.reading, open_pictures, *given)

        try:
            for event in self._read(request, "picture", read):
                if not isinstance(event, Ended):
                    yield {shown: progress(event), person: None, chosen: ""}
                elif event.error is not None:
                    raise event.error
                elif event.result is not None:
                    yield {shown: _shown(event.result), person: event.result, chosen: ""}
        except SignGenError as error:
            yield {shown: failure(error), person: None, chosen: ""}

    def signer(self, name: str) -> Update:
        """A built-in signer was chosen: a picture that was uploaded before is removed."""
        if not name:  # the picture itself has taken the place
            return {self._parts["picture_shown"]: gr.skip()}
        return {self._parts[part]: None for part in ("picture", "picture_keypoints", "person")}

    def render(self, given: Given, request: gr.Request) -> Iterator[Update]:
        """Renders, and says how it goes."""
        context, stream, visitor = self._context, LiveStream(), self._visitor(request)
        values = self._values(given)

        def prepare() -> tuple[Work, Update]:
            order = self._order(visitor, behind, **values)
            frames = order.frames()
            shown = order.clip.keypoints[frames.start : frames.stop]
            work = render_job(order, context.model, stream, context.limits)
            key = context.streams.add((visitor.uploads, stream))
            return work, {self._parts["player"]: player_content(shown, order.clip.name, key)}

        try:
            if (original := values["original"]) is not None:
                path, limits = visitor.accept(original), context.limits
                yield from self._looked_at(request, "original", path.name, limits.watching, limits.check_video, path)
            behind = yield from self._behind(request, visitor, values)
            yield from self._run(request, prepare)
        except Cancelled:
            return
        except SignGenError as error:
            yield {self._parts["status"]: failure(error)}
        finally:
            stream.close()

    def background(self, chosen: str) -> Update:
        """What is behind the signer was chosen: shows what else must be said."""
        colour, behind = self._parts["colour"], self._parts["behind"]
        return {colour: gr.update(visible=chosen == COLOUR), behind: gr.update(visible=chosen == PICTURE)}

    def _behind(
        self, request: gr.Request, visitor: Visitor, values: dict[str, Any]
    ) -> Generator[Update, None, str | Path]:
        """What ``--background`` is given; takes what says so out of ``values``. A picture is read, and said so."""
        chosen, colour, picture = (values.pop(name, None) for name in ("background", "colour", "behind"))
        if chosen in (None, OWN):
            return "source"
        if chosen == NOTHING:
            return "none"
        if chosen == COLOUR:
            return parse_colour(colour or "")
        if chosen != PICTURE or not picture:
            raise Missing("--background", "no picture is chosen yet", "choose one, or another background")
        context, name = self._context, Path(picture).name
        given = str(picture), visitor, context.limits
        return (
            yield from self._looked_at(request, "background", name, context.limits.reading, open_background, *given)
        )

    def _looked_at(
        self, request: gr.Request, what: str, name: str, bounds: Bounds, look: Callable[..., Any], *given: Any
    ) -> Generator[Update, None, Any]:
        """What ``look`` finds in a file, in a process of its own; says meanwhile that it is looked at, and raises what
        is wrong with it, or `Cancelled` where a newer render has it looked at."""

        def read(job: Job) -> tuple[Any]:
            return (self._context.apart(job, name, bounds, look, *given),)

        found = None
        for event in self._read(request, what, read):
            if not isinstance(event, Ended):
                yield {self._parts["status"]: progress(event)}
            elif event.replaced:
                raise Cancelled
            elif event.error is not None:
                raise event.error
            else:
                found = event.result
        if found is None:
            raise Missing(name, "was not looked at", "press Render again")
        return found[0]

    def _order(
        self, visitor: Visitor, behind: str | Path, clip: Clip | None, signer: str, picture: list[str] | None,
        person: list[Source] | None, original: str | None, align: bool, fill_hands: bool, smooth: float | None,
        part: str | None, seed: float | None,
    ) -> Order:  # fmt: skip
        """The checked request."""
        from signgen.rendering import RenderSettings

        if clip is None:
            raise Missing("keypoints", "nothing is chosen yet", "choose an example or drop a keypoint file")
        if picture and person is None:
            raise Missing("picture", "is not read yet, or cannot be used", "see what is said below it")
        if person is not None:
            sources = person
        else:
            sources = self._context.signer(signer)
        settings = RenderSettings(
            align=sources[0].keypoints is not None and (align or not clip.placed),
            fill_hands=bool(fill_hands),
            smooth=smooth or None,
            frames=parse_part(part or ""),
            seed=int(seed or 0),
            background=behind,
        )
        true_video = None if original is None else visitor.accept(original)
        return Order(clip, sources, settings, visitor.folder(), true_video)

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
        visitor = self._visitor(request)

        def prepare() -> tuple[Work, Update]:
            return score_job(_pair(visitor, **self._values(given)), self._context), {}

        yield from self._run(request, prepare)

    def _done(self, result: Scored) -> Update:
        parts, report = self._parts, result.report
        return {
            parts["status"]: box("Done.", "good", notes(list(result.result.warnings))),
            parts["table"]: score_table(result.result),
            parts["report"]: _REPORT.format(
                key=self._context.reports.add((result.report.parent.parent, result.report))
            ),
            parts["get_report"]: gr.update(value=str(report)),
        }


class LearnTab(Tab):
    """The third tab: a video of a person in, a model that has learned the person out, with a sheet that grows."""

    kind, long = "learn", True
    stopped = "Stopped. Press Learn again with the same files, words and minutes, and it goes on from here."

    def learn(self, given: Given, request: gr.Request) -> Iterator[Update]:
        """Learns, and says how it goes."""
        visitor, self_shown = self._visitor(request), self._parts["sheet"]

        def prepare() -> tuple[Work, Update]:
            return learn_job(_lesson(visitor, **self._values(given)), self._context), {self_shown: ""}

        yield from self._run(request, prepare)

    def _meanwhile(self, event: Waiting | Working) -> Update:
        picture = getattr(event, "picture", None)
        if picture is None or not picture.is_file():
            return {}
        from PIL import Image

        with Image.open(picture) as sheet:
            shown = data_url(np.asarray(sheet.convert("RGB")), SHEET_SIDE)
        return {self._parts["sheet"]: f'<img class="sg-sheet" src="{shown}" alt="How learning goes: a row a time">'}

    def _done(self, result: Learned) -> Update:
        parts = self._parts
        return {
            parts["status"]: box(
                "Done. All that this model makes is generated.", "good", notes(result.result.warnings)
            ),
            parts["table"]: learned_table(result.result),
            parts["compare"]: str(result.compare),
            parts["tried"]: str(result.tried),
            parts["get_person"]: gr.update(value=str(result.archive)),
        }


def _lesson(
    visitor: Visitor, person_video: str | None, person_keypoints: str | None, consent: str, agreed: bool,
    minutes: float | None, example: str,
) -> Lesson:  # fmt: skip
    """The checked request."""
    if person_video is None:
        raise Missing("video", "nothing is chosen yet", "choose a video of the person")
    if not agreed or not (consent or "").strip():
        raise Missing("--consent", "is not given", "write it, and tick that the person agreed")
    if minutes is None or not 1 <= minutes <= LONGEST:
        raise BadValue("--minutes", f"got {minutes}", f"allowed are 1 to {LONGEST:.0f}")
    chosen = next((one for one in EXAMPLES if one.title == example), EXAMPLES[0])
    keypoints = None if person_keypoints is None else visitor.accept(person_keypoints)
    return open_lesson(visitor, visitor.accept(person_video), keypoints, consent.strip(), minutes, chosen)


def _pair(
    visitor: Visitor, generated: str | None, reference: str | None, keypoints: str | None, lengths: bool, sizes: bool
) -> Pair:
    """The checked request."""
    if generated is None or reference is None:
        raise Missing("videos", "one is missing", "choose a generated and a true video")
    return Pair(
        visitor.accept(generated),
        visitor.accept(reference),
        None if keypoints is None else visitor.accept(keypoints),
        "common" if lengths else "error",
        "resize" if sizes else "error",
        visitor.folder(),
    )


def _shown(sources: list[Source]) -> str:
    """Pictures of a signer, and how they are used."""
    names = ", ".join(source.name for source in sources)
    text = f"{names} {'is' if len(sources) == 1 else 'are'} used instead of a built-in signer."
    without = [source.name for source in sources if source.keypoints is None]
    if without == [sources[0].name] and len(sources) == 1:
        text += " There are no keypoints of the picture: the person is taken to stand in the middle,"
        text += " and the skeleton is not fitted."
    elif without:
        text += f" There are no keypoints of {', '.join(without)}: hands and heads are not taken from there."
    images = "".join(f'<img src="{data_url(source.image)}" alt="{escape(source.name)}">' for source in sources)
    return f'<div class="sg-picture">{images}<p>{escape(text)}</p></div>'
