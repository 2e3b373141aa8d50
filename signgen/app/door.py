"""Renders for other programs over HTTP: keypoints are posted, and the video is the answer.

It shares the page's folder of files, limits, queue and guard (`Middleware`), and reads what it is sent in a process
apart, as the page does. Nothing of a request is left once it is answered or its sender has gone.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signgen.app.clips import Clip, open_clip, open_pictures, parse_part, parse_size
from signgen.app.context import LONGEST_NAME, MIB, Context, Visitor, safe_name
from signgen.app.jobs import Ended, Event, Job, JobQueue, Report, Work, follow
from signgen.app.rendering import Order, render_job
from signgen.app.server import TOGETHER, Middleware, paced
from signgen.app.status import error_text
from signgen.errors import BadValue, Damaged, InputError, Missing, RunError, SignGenError, TooLarge

if TYPE_CHECKING:
    from signgen.rendering.source import Source

ROUTES = {"GET": re.compile(r"/health"), "POST": re.compile(r"/render")}
FILES = ("keypoints", "source", "source_keypoints")
FIELDS = ("clip", "frame_size", "fps", "frames", "align", "smooth", "fill_hands", "shutter", "seed", "size")
MOST_WAITING = 64  # requests that are known of at a time
AGAIN_SECONDS = 30  # after which a program that was turned away may ask again
LOOK_SECONDS = 0.5  # between two looks whether the sender is still there
# Options of the command line -> the form's fields.
_NAMES = {f"--{name.replace('_', '-')}": name for name in (*FILES, *FIELDS)} | {"--no-fill-hands": "fill_hands=false"}
_SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class Gone(Exception):
    """The sender has closed the connection."""


class Slow(Exception):
    """The request does not come, or too slowly."""


class Door:
    """Answers requests.

    Args:
        context: what they share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Semaphore(TOGETHER)
        self._known = 0
        # Not asyncio's own few: a request follows its job in one of these for as long as that waits and runs.
        self._threads = ThreadPoolExecutor(MOST_WAITING, "signgen-following")

    async def health(self, request: Any) -> Any:
        """Whether a render would begin: 200, or 503 while the model is loaded or where it cannot be."""
        from starlette.responses import JSONResponse

        model, limits = self._context.model, self._context.limits
        state = "loading" if not model.done() else "ready" if model.exception() is None else "failed"
        running, waiting = self._context.jobs.counts()
        content = {
            "status": state, "running": running, "waiting": waiting, "signers": list(self._context.signers),
            "limits": {
                "upload_bytes": limits.video_bytes, "keypoint_bytes": limits.keypoint_bytes,
                "picture_bytes": limits.picture_bytes, "frames": limits.frames, "waiting": limits.waiting,
            },
        }  # fmt: skip
        return JSONResponse(content, 200 if state == "ready" else 503, {"Cache-Control": "no-store"})

    async def render(self, request: Any) -> Any:
        """Keypoints to video, or to a JSON object that says why not."""
        from starlette.background import BackgroundTask
        from starlette.responses import FileResponse, Response

        if self._known >= MOST_WAITING:
            return _said(503, "busy", "too many requests wait", {"Retry-After": str(AGAIN_SECONDS)})
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            return _said(411, "missing", "the request does not say how long it is")
        if int(length) > self._context.limits.video_bytes + MIB:
            most = self._context.limits.video_bytes // MIB
            return _said(413, TooLarge.code, f"up to {most} MiB are taken at a time")
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            return _said(415, "unsupported", "send multipart/form-data, as curl -F does")
        self._known += 1
        visitor = self._context.workspace.visitor(secrets.token_urlsafe(24))
        over = BackgroundTask(shutil.rmtree, visitor.uploads, ignore_errors=True)
        try:
            async with self._turn:
                with self._context.workspace.coming(int(length)) as coming:
                    given = await self._taken(request, coming, visitor)
            video, warnings = await self._rendered(request, given, visitor)
            headers = {"X-Signgen-Warnings": json.dumps(warnings), "Cache-Control": "no-store"}
            return FileResponse(video, media_type="video/mp4", filename=video.name, headers=headers, background=over)
        except Gone:
            answer = Response(status_code=499)
        except Slow:
            answer = _said(408, "slow", "request: it comes too slowly; send a smaller file, or over a faster line")
        except SignGenError as error:
            answer = _refused(error)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, visitor.uploads, ignore_errors=True)
            raise
        finally:
            self._known -= 1
        answer.background = over
        return answer

    async def _taken(self, request: Any, coming: int, visitor: Visitor) -> dict[str, Any]:
        """The form's fields: texts, and paths of the files, which lie in the visitor's folder then."""
        from starlette.exceptions import HTTPException
        from starlette.requests import Request

        limits = self._context.limits
        if await asyncio.to_thread(self._context.workspace.used) + coming > limits.total_bytes:
            raise RunError("disk", "the space for files is used up", "try again in some minutes")
        paced_request = Request(request.scope, paced(request.receive))
        try:
            form = await paced_request.form(max_files=limits.files, max_fields=len(FIELDS) + len(FILES))
        except TimeoutError:
            raise Slow from None
        except HTTPException as error:
            raise Damaged("request", str(error.detail), "send it as curl -F does") from None
        if unknown := [name for name in form if name not in (*FIELDS, *FILES)]:
            raise BadValue(unknown[0], "is no field of a render", f"allowed are {', '.join((*FILES, *FIELDS))}")
        given: dict[str, Any] = {name: form[name] for name in FIELDS if isinstance(form.get(name), str)}
        for name in FILES:
            sent = [one for one in form.getlist(name) if not isinstance(one, str)]
            texts = [one for one in form.getlist(name) if isinstance(one, str)]
            if texts and name != "source":
                raise BadValue(name, "is a text", f"send a file: -F {name}=@FILE")
            given[name] = [await asyncio.to_thread(_kept, one, visitor) for one in sent]
            if texts:
                given["signer"] = texts[-1]
        await form.close()
        return given

    async def _rendered(self, request: Any, given: dict[str, Any], visitor: Visitor) -> tuple[Path, list[str]]:
        """The video's path, and what was assumed."""
        context, owner = self._context, visitor.uploads.name
        paths = [str(path) for path in given["keypoints"]]
        if not paths:
            raise Missing("keypoints", "no file", "send one: -F keypoints=@clip.json")
        fps = _number("fps", given.get("fps"))
        reading = (paths, visitor, context.limits, given.get("clip", ""), given.get("frame_size", ""), fps)

        def read(job: Job, report: Report) -> Clip:
            return context.apart(job, Path(paths[0]).name, context.limits.reading, open_clip, *reading)

        clip = await self._done(request, context.readers, f"{owner}/keypoints", read)
        sources = await self._sources(request, given, visitor)
        await asyncio.to_thread(context.check_room)
        order = _order(given, clip, sources, visitor)
        work = render_job(order, context.model, None, context.limits)
        result, _ = await self._done(request, context.jobs, owner, work)
        return Path(result.output), [*clip.warnings, *result.warnings]

    async def _sources(self, request: Any, given: dict[str, Any], visitor: Visitor) -> list[Source]:
        pictures = [str(path) for path in given["source"]]
        if not pictures:
            return self._context.signer(given.get("signer", self._context.signers[0]), "source")
        context = self._context
        reading = (pictures, [str(path) for path in given["source_keypoints"]], visitor, context.limits)

        def read(job: Job, report: Report) -> list[Source]:
            return context.apart(job, Path(pictures[0]).name, context.limits.reading, open_pictures, *reading)

        return await self._done(request, context.readers, f"{visitor.uploads.name}/source", read)

    async def _done(self, request: Any, jobs: JobQueue, owner: str, work: Work) -> Any:
        """The result of a job, which is cancelled when its sender goes."""
        handed = self._threads.submit(_end, follow(jobs, owner, work, "request"))
        following = asyncio.wrap_future(handed)
        try:
            while not (await asyncio.wait({following}, timeout=LOOK_SECONDS))[0]:
                if await request.is_disconnected():
                    raise Gone
        finally:
            handed.cancel()  # where no thread has taken it up: it never begins
            while not handed.done():  # it may enter the queue only after the first of these
                jobs.cancel(owner)
                await asyncio.wait({following}, timeout=LOOK_SECONDS)
        ended = following.result()
        if ended.error is not None:
            raise ended.error
        if ended.result is None:
            raise RunError("render", "it was cancelled", "send it again")
        return ended.result


def _end(events: Iterator[Event]) -> Ended:
    """The last of a job's events."""
    ended = Ended()
    for event in events:
        if isinstance(event, Ended):
            ended = event
    return ended


def _kept(sent: Any, visitor: Visitor) -> Path:
    """A file that was sent, in the visitor's folder, under a name of its own that is safe.

    Of a long name the end is kept: it tells the files of one clip apart.
    """
    name = Path(sent.filename or "clip")
    place = visitor.folder() / (safe_name(name.stem[-LONGEST_NAME:]) + re.sub(r"[^.A-Za-z0-9]", "", name.suffix)[:12])
    with place.open("wb") as file:
        shutil.copyfileobj(sent.file, file)
    return place


def _order(given: dict[str, Any], clip: Clip, sources: list[Source], visitor: Visitor) -> Order:
    from signgen.rendering import RenderSettings

    smooth: str | float | None = given.get("smooth") or None
    settings = RenderSettings(
        align=sources[0].keypoints is not None and (_switch("align", given, False) or not clip.placed),
        fill_hands=_switch("fill_hands", given, True),
        shutter=_number("shutter", given.get("shutter")),
        smooth=smooth if smooth in (None, "auto") else _number("smooth", str(smooth)),
        frames=parse_part(given.get("frames", "")),
        size=parse_size(given.get("size", "")),
        seed=_whole("seed", given.get("seed")),
    )
    return Order(clip, sources, settings, visitor.folder(), alone=True)


def _number(name: str, text: str | None) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadValue(name, f"got {text[:40]!r}", "give a number")
    return number


def _whole(name: str, text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        raise BadValue(name, f"got {text!r:.40}", "give a whole number") from None


def _switch(name: str, given: dict[str, Any], otherwise: bool) -> bool:
    text = str(given.get(name, otherwise)).lower()
    if text not in _SWITCH:
        raise BadValue(name, f"got {text[:40]!r}", "give true or false")
    return _SWITCH[text]


def _refused(error: SignGenError) -> Any:
    status = 413 if isinstance(error, TooLarge) else 422 if isinstance(error, InputError) else 500
    text = error_text(error, _NAMES)
    if isinstance(error, RunError) and error.subject in ("queue", "disk"):  # files may be called so, too
        return _said(503, error.code, text, {"Retry-After": str(AGAIN_SECONDS)})
    return _said(status, error.code, text)


def _said(status: int, code: str, text: str, headers: dict[str, str] | None = None) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": text, "code": code}, status, headers)


def build_door(context: Context, local: bool, password: str | None = None) -> Any:
    """The guarded ASGI application; arguments as in `signgen.app.server.build_application`."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    door = Door(context)
    routes = [Route("/health", door.health), Route("/render", door.render, methods=["POST"])]
    return Middleware(Starlette(routes=routes), local, None, password, ROUTES)
