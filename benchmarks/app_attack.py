"""The page under attack, while somebody renders: how much slower that is, and what is left on the disk.

    python benchmarks/app_attack.py [--model mini] [--frames 100] [--size 190] [--large 3] [--crowd 200]

A server of its own renders the first part of an example for a visitor, once in peace and once while others send
`--large` uploads of `--size` MiB, `--crowd` small ones at once, a pickle that grows without end when it is read, a
stream of a file that breaks off, and what another website would send. Then the clock is put forward by an hour.

Prints one JSON object; exit code 1 where the render falls below half its speed, a refusal is missing, or anything is
left on the disk.
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signgen.app.clips import EXAMPLES, open_clip
from signgen.app.context import COOKIE, MIB, Context, Limits, open_context, open_workspace
from signgen.app.jobs import Ended, follow
from signgen.app.live import LiveStream
from signgen.app.rendering import Order, render_job
from signgen.app.server import build_application, open_socket
from signgen.rendering import RenderSettings
from signgen.rendering.source import load_source

if TYPE_CHECKING:  # each process that reads a file imports this one
    from signgen.model import SignGenPipeline

BOUNDARY = b"sg"
HOUR = 3600.0
# A list that holds one list ten times, which holds one ten times, eleven deep: 10**11 elements when it is built.
BOMB = b"".join([b"\x80\x04]q\x00", *(b"](" + b"h%c" % n * 10 + b"eq%c" % (n + 1) for n in range(11)), b"."])


class Clock:
    """The time, which can be put forward."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@contextmanager
def serving(model: SignGenPipeline, limits: Limits, clock: Clock) -> Iterator[tuple[Context, int]]:
    """A page's context, and the port that it is served on."""
    import uvicorn

    loaded: Future[SignGenPipeline] = Future()
    loaded.set_result(model)
    with (
        open_workspace(HOUR / 2, clock) as workspace,
        open_socket("127.0.0.1", 0) as listening,
        open_context(workspace, loaded, limits) as context,
    ):
        application = build_application(context, local=True)
        server = uvicorn.Server(uvicorn.Config(application, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield context, listening.getsockname()[1]
        server.should_exit = True
        thread.join(30)


def send(port: int, key: str, size: int, broken: bool = False, **headers: str) -> int:
    """The status after an upload of so many bytes of nothing; 0 where it breaks off on purpose."""
    head = b'--%s\r\nContent-Disposition: form-data; name="files"; filename="a.json"\r\n\r\n' % BOUNDARY
    tail = b"\r\n--%s--\r\n" % BOUNDARY
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.putrequest("POST", "/gradio_api/upload")
        given = {
            "Cookie": f"{COOKIE}={key}", "Content-Length": str(len(head) + size + len(tail)),
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}", **headers,
        }  # fmt: skip
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(head)
        piece, left = bytes(min(size, MIB)), size // 2 if broken else size
        while left > 0:
            connection.send(piece[:left])
            left -= len(piece)
        if broken:
            return 0
        connection.send(tail)
        return connection.getresponse().status
    except (ConnectionError, TimeoutError):  # refused before all of it was sent
        return -1
    finally:
        connection.close()


def render(context: Context, frames: int) -> float:
    """Frames a second of a visitor's render."""
    visitor = context.workspace.visitor("r" * 32)
    order = Order(EXAMPLES[0].open(), load_source("alma"), RenderSettings(frames=slice(0, frames)), visitor.folder())
    begun = time.monotonic()
    *_, last = follow(context.jobs, "renderer", render_job(order, context.model, LiveStream(), context.limits))
    if not isinstance(last, Ended) or last.error is not None:
        raise SystemExit(f"the render failed: {last}")
    return frames / (time.monotonic() - begun)


def read_bomb(context: Context) -> str:
    """What reading the pickle comes to."""
    visitor = context.workspace.visitor("b" * 32)
    path = visitor.folder() / "bomb.pkl"
    path.write_bytes(BOMB)
    limits = context.limits
    work = lambda job, report: context.apart(job, path.name, limits.reading, open_clip, [path], visitor, limits)  # noqa: E731
    *_, last = follow(context.readers, "bomber/keypoints", work)
    return "read" if last.error is None else last.error.code


def attack(context: Context, port: int, large: int, size: int, crowd: int) -> Callable[[], dict[str, Any]]:
    """Begins all of it in threads; what is returned waits for their end and says what came of it."""
    came: dict[str, Counter[Any]] = {name: Counter() for name in ("large", "crowd", "foreign", "broken", "bomb")}

    def note(name: str, action: Callable[..., Any], *given: Any, **more: Any) -> None:
        came[name][action(*given, **more)] += 1

    jobs: list[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
    jobs += [("large", send, (port, f"{n:032d}", size), {}) for n in range(large)]
    jobs += [("crowd", send, (port, f"{n:032d}", 1000), {}) for n in range(crowd)]
    jobs += [("broken", send, (port, "x" * 32, size), {"broken": True})]
    jobs += [("foreign", send, (port, "y" * 32, 1000), {name: value}) for name, value in (
        ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site"))]  # fmt: skip
    jobs += [("bomb", read_bomb, (context,), {})]
    threads = [
        threading.Thread(target=note, args=(name, action, *given), kwargs=more) for name, action, given, more in jobs
    ]
    for thread in threads:
        thread.start()

    def wait() -> dict[str, Any]:
        for thread in threads:
            thread.join()
        return {name: {str(key): count for key, count in counts.items()} for name, counts in came.items()}

    return wait


def under_attack(
    model: SignGenPipeline, limits: Limits, frames: int, large: int, size: int, crowd: int
) -> dict[str, Any]:
    """The figures of the module's text, and what is ``wrong``."""
    clock = Clock()
    with serving(model, limits, clock) as (context, port):
        render(context, frames)  # what is loaded on first use is there
        peace = render(context, frames)
        wait = attack(context, port, large, size, crowd)
        attacked = render(context, frames)
        came = wait()
        held = context.workspace.used()
        clock.ahead = HOUR
        context.workspace.sweep()
        left = [str(path.relative_to(context.workspace.root)) for path in context.workspace.uploads.rglob("*")]
    hidden = [path.name for path in Path(tempfile.gettempdir()).glob(".signgen-*") if path == context.workspace.root]
    wrong = [f"left {left[:3]}"] if left or hidden else []
    wrong += [f"the render fell to {attacked / peace:.0%}"] if attacked < peace / 2 else []
    wrong += [f"another website: {came['foreign']}"] if came["foreign"] != {"403": 2} else []
    wrong += [f"the bomb: {came['bomb']}"] if set(came["bomb"]) & {"read", "run"} else []
    wrong += [f"the crowd: {came['crowd']}"] if not set(came["crowd"]) <= {"200", "503", "507"} else []
    return {
        "frames_per_second": {"in peace": round(peace, 2), "under attack": round(attacked, 2)},
        **came, "MiB held after it": round(held / MIB, 1), "left an hour later": len(left), "wrong": wrong,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini")
    for name, default in {"frames": 100, "size": 190, "large": 3, "crowd": 200}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    from signgen.model import SignGenPipeline

    model = SignGenPipeline.from_pretrained(options.model, device="cpu")
    result = under_attack(model, Limits(), options.frames, options.large, options.size * MIB, options.crowd)
    print(json.dumps(result, indent=1))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
