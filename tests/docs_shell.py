"""A shell for the documentation's commands in which `signgen` starts at once.

Bash runs a page's blocks as they are. Only the word `signgen` means a small client there: it hands its arguments,
folder, environment and open files to a server that has torch and the other heavy imports behind it, and the server
answers from a forked copy of itself. Everything else (exit codes, pipes, signals at the end) is as usual. Without it
the pages would spend most of their time importing.

    python docs_shell.py serve SOCKET
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

PRELOADED = (
    "signgen.model.pipeline", "signgen.rendering", "signgen.scoring", "signgen.synthetic.dataset",
    "signgen.training.run", "signgen.pose_image",
)  # fmt: skip
CLIENT = """
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
call = {"arguments": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}
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
    command = bin_folder / "signgen"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{folder}/client.py" "{place}" "$@"\n')
    command.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, __file__, "serve", str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
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
        In the process itself 0; in its copies the exit code of the command that ran.
    """
    for name in PRELOADED:
        import_module(name)
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
            return _keep(line)
        line.close()


def _keep(line: socket.socket) -> int:
    """Waits for the command in a copy of its own, as only a whole exit runs what was left for the exit to do."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(line, 1, 3)
    call = json.loads(line.makefile("rb").readline())
    command = os.fork()
    if command == 0:
        line.close()
        return _run(call, files)
    for file in files:
        os.close(file)
    _, status = os.waitpid(command, 0)
    code = os.waitstatus_to_exitcode(status)
    line.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _run(call: dict[str, Any], files: list[int]) -> int:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv = ["signgen", *call["arguments"]]
    from signgen.cli import main

    try:
        main(call["arguments"], prog_name="signgen")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(serve(sys.argv[2]))
