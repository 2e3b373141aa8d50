"""A shell for the documentation's commands in which `signgen`, `python -` and notebooks' kernels start at once.

Bash runs a page's blocks as they are. Only the words `signgen` and `python -` mean a small client there: it hands its
arguments, folder, environment and open files to a server that has imported torch and the other heavy modules, and the
server answers from a forked copy of itself. Everything else (exit codes, pipes, signals at the end) is as usual.
Without it pages and notebooks would spend most of their time importing.

    python docs_shell.py serve SOCKET
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from runpy import run_module
from types import ModuleType
from typing import Any, NoReturn

KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib.figure")
PRELOADED = (
    "signgen.model.pipeline", "signgen.rendering", "signgen.scoring", "signgen.synthetic.dataset",
    "signgen.training.run", "signgen.pose_image",
)  # fmt: skip
CLIENT = """
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
call = {"program": sys.argv[2], "arguments": sys.argv[3:], "folder": os.getcwd(), "environment": dict(os.environ)}
socket.send_fds(line, [b"3"], [0, 1, 2])
line.sendall(json.dumps(call).encode() + b"\\n")
answer = line.recv(16)
sys.exit(int(answer) if answer else 1)
"""


@contextmanager
def server(folder: Path) -> Iterator[Path]:
    """Starts the server; yields a folder for PATH that holds the command ``signgen``.

    Args:
        folder: an empty one of its own, with a short path: a socket's may have about 100 characters.
    """
    place, bin_folder = folder / "s", folder / "bin"
    bin_folder.mkdir()
    (folder / "client.py").write_text(CLIENT, encoding="utf-8")
    client = f'exec "{sys.executable}" -I -S "{folder}/client.py" "{place}"'
    for name, script in (
        ("signgen", f'{client} signgen "$@"\n'),
        ("python", f'[ "$*" = - ] || exec "{sys.executable}" "$@"\n{client} python -\n'),
        # A kernel ends itself when its parent is not the process that it was told of.
        ("kernel", f'unset JPY_PARENT_PID\n{client} python -m ipykernel_launcher -f "$1"\n'),
    ):
        (bin_folder / name).write_text(f"#!/bin/sh\n{script}")
        (bin_folder / name).chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, __file__, "serve", str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "the server of the documentation's commands does not start"
        yield bin_folder
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # a command that hangs goes with it
        process.wait()


def serve(place: str) -> int:
    """Answers calls as long as its standard input is open, so that it does not outlive who started it.

    Returns:
        0; copies never return.
    """
    for name in PRELOADED:
        with suppress(ImportError) if name in KERNEL else nullcontext():
            import_module(name)
    gc.collect()
    gc.freeze()  # a copy's collector leaves alone what was imported, so that its memory stays shared
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen(16)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    os.write(1, b"ready\n")
    while True:
        if 0 in select.select([listener, 0], [], [])[0]:
            return 0
        line, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _keep(line)
        line.close()


def _keep(line: socket.socket) -> NoReturn:
    """Runs the command in a copy of its own, and tells how it ended, by a signal too."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(line, 1, 3)
    call = json.loads(line.makefile("rb").readline())
    command = os.fork()
    if command == 0:
        line.close()
        _run(call, files)
    for file in files:
        os.close(file)
    _, status = os.waitpid(command, 0)
    code = os.waitstatus_to_exitcode(status)
    line.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _run(call: dict[str, Any], files: list[int]) -> NoReturn:
    """Runs the command, then what was left for the exit to do; torch's modules are not taken down one by one."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv = call["arguments"] if call["program"] == "python" else [call["program"], *call["arguments"]]
    code = 1
    try:
        code = _command(call["arguments"]) if call["program"] == "signgen" else _python(call["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)


def _command(arguments: list[str]) -> int:
    from signgen.cli import main

    try:
        main(arguments, prog_name="signgen")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _python(arguments: list[str]) -> int:
    """What ``python -`` and ``python -m MODULE ...`` do."""
    sys.path[0] = ""
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.modules["__main__"] = main = ModuleType("__main__")
            exec(compile(sys.stdin.read(), "<stdin>", "exec"), vars(main))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(serve(sys.argv[2]))
