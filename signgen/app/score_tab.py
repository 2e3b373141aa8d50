"""What happens when something on the second tab is clicked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from signgen.app.context import Context
from signgen.app.job import Ended, follow
from signgen.app.scoring import Pair, Scored, score_job, score_table
from signgen.app.status import failure, happening, notes, say
from signgen.errors import InputError, SignGenError

Update = dict[Any, Any]
_REPORT = (
    '<iframe class="sg-report" title="Report of the evaluation" src="report/{key}" sandbox="allow-scripts"></iframe>'
)


class ScoreTab:
    """The second tab's callbacks.

    Args:
        context: what all requests share.
        parts: the tab's components by name.
    """

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self._context, self._parts = context, parts

    def stop(self, request: gr.Request) -> None:
        """The user does not want to wait any longer."""
        self._context.turns.call_off(str(request.session_hash))

    def score(
        self,
        generated: str | None,
        reference: str | None,
        keypoints: str | None,
        lengths: bool,
        sizes: bool,
        request: gr.Request,
    ) -> Iterator[Update]:
        """Scores, and says how it goes."""
        parts = self._parts
        try:
            work = score_job(self._pair(generated, reference, keypoints, lengths, sizes), self._context.limits)
            events = follow(self._context.turns, str(request.session_hash), work)
            yield {
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

    def _pair(
        self, generated: str | None, reference: str | None, keypoints: str | None, lengths: bool, sizes: bool
    ) -> Pair:
        """The checked request."""
        accept = self._context.workplace.accept
        if generated is None or reference is None:
            raise InputError("videos", "one is missing", "choose a generated and a true video")
        return Pair(
            accept(generated),
            accept(reference),
            None if keypoints is None else accept(keypoints),
            "common" if lengths else "error",
            "resize" if sizes else "error",
            self._context.workplace.folder(),
        )

    def _idle(self) -> Update:
        parts = self._parts
        return {parts["start"]: gr.update(interactive=True), parts["stop"]: gr.update(visible=False)}

    def _ended(self, event: Ended) -> Update:
        parts = self._parts
        if event.error is not None:
            return {**self._idle(), parts["status"]: failure(event.error)}
        if event.result is None:
            return {**self._idle(), parts["status"]: say("Stopped.")}
        done: Scored = event.result
        return {
            **self._idle(),
            parts["status"]: say("Done.", "good", notes(list(done.result.warnings))),
            parts["results"]: gr.update(visible=True),
            parts["table"]: score_table(done.result),
            parts["report"]: _REPORT.format(key=self._context.reports.add(done.report)),
            parts["get_report"]: gr.update(value=str(done.report)),
        }
