"""Ctrl-C and SIGTERM end a command with one line, whenever they come.

A program calls `listen` first: from then on a signal ends it at once, for nothing is open yet. While a command works,
inside of `raised`, a signal raises KeyboardInterrupt, so that what is unfinished is removed. Steps that must not be cut
in two are inside of `held`.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

ASKING = (signal.SIGINT, signal.SIGTERM)
LINE = "interrupted: stopped by the user; unfinished files were removed"
_FOREIGN = (signal.SIG_IGN, None)  # ignored, or not Python's to give back
_IMPORT = "<frozen importlib._bootstrap>"  # the file of Python's own code for imports
AGAIN = 0.5  # seconds after which KeyboardInterrupt is raised, where it could not be or other code has swallowed it


class _State:
    listening = False  # this process is a program of ours, or its worker
    line = b""  # what it says when it is ended at once
    process = 0  # whose signals these are: other code may fork, and what it forks has the handlers, too
    working = False  # inside of `raised`
    asked = False  # the last `raised` was interrupted
    held = 0  # blocks of `held` around what is running
    late: int | None = None  # the signal that came meanwhile


def listen(line: str = f"error: {LINE}\n") -> None:
    """To be called first by a program of ours, and by nobody else: from now on a signal ends it with ``line``.

    A signal that is ignored, as in what a shell starts in the background, stays so.
    """
    _State.listening, _State.line, _State.process = True, line.encode(), os.getpid()
    for number in ASKING:
        if signal.getsignal(number) not in _FOREIGN:
            signal.signal(number, _end)


@contextmanager
def raised() -> Iterator[None]:
    """In the block both signals raise KeyboardInterrupt, and again as long as it is swallowed, but not in cleaning up.

    The handlers from before come back at its end. In another thread than the main one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: handler for number in ASKING if (handler := signal.getsignal(number)) not in _FOREIGN}
    hook = sys.unraisablehook

    def quiet(unraisable: Any) -> None:
        """What cannot be raised, in a destructor, say, is raised a moment later."""
        if not (_State.asked and issubclass(unraisable.exc_type, KeyboardInterrupt)):
            hook(unraisable)

    try:
        _State.working, _State.asked, sys.unraisablehook = True, False, quiet
        _State.process = os.getpid()
        for number in before:
            signal.signal(number, _raise)
        yield
    finally:
        _State.working, sys.unraisablehook = False, hook
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """Signals wait until the block is over, where this process `listen`s or is inside of `raised`."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    _State.held += 1
    try:
        yield
    finally:
        _State.held -= 1
        if not _State.held and _State.late is not None:
            number, _State.late = _State.late, None
            signal.raise_signal(number)


def asked() -> bool:
    """Whether a signal came during the last `raised`, whatever exception its KeyboardInterrupt has become."""
    return _State.asked


def leave(code: int) -> None:
    """Ends a program that was interrupted without waiting for threads that still compute; else SystemExit."""
    if not (_State.listening and _State.asked):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or its reader is gone
            stream.flush()
    os._exit(code)


def _end(number: int, frame: FrameType | None) -> None:
    if _State.held:
        _State.late = number
        return
    with suppress(OSError):
        os.write(2, _State.line if os.getpid() == _State.process else b"")  # the stream may be in a write
    os._exit(1)


def _raise(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _State.process:
        os._exit(1)
    if _State.held:
        _State.late = number
        return
    if not _State.asked:
        _State.asked = True
        _thread.start_new_thread(_repeat, (number,))  # `threading` takes locks that this thread may hold just now
    if not (_cleans_up() or _imports(frame)):
        raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported, which some of those in C++ do not survive when it is interrupted."""
    while frame is not None and frame.f_code.co_filename != _IMPORT:
        frame = frame.f_back
    return frame is not None


def _repeat(number: int) -> None:
    while True:
        time.sleep(AGAIN)
        if not (_State.asked and _State.working):
            return
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, number)  # a true one wakes what waits
        else:
            _thread.interrupt_main(signal.Signals(number))


def _cleans_up() -> bool:
    """Whether a KeyboardInterrupt is on its way through the code that runs."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
