"""Outputs appear whole or not at all: every step is made to fail in turn, and a process is killed between renames."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from signgen.errors import NotFound, NotWritable, RunError
from signgen.files import (
    Staging,
    check_replaceable,
    check_target,
    place_file,
    place_folder,
    recover,
    remove_leftovers,
    whole,
)


def _file(path: Path, text: str) -> None:
    path.write_text(text)


def _folder(path: Path, text: str) -> None:
    path.mkdir()
    (path / "inside").write_text(text)


def _content(path: Path) -> str | None:
    if path.is_dir():
        return "".join(item.read_text() for item in path.iterdir())
    return path.read_text() if path.exists() else None


def _break_off(target: Path, write: Callable[[Path], object]) -> None:
    with whole(target) as temporary:
        write(temporary)
        raise RuntimeError("in the middle")


KINDS = pytest.mark.parametrize("make", [_file, _folder], ids=["file", "folder"])


@KINDS
def test_a_new_output_appears_and_an_old_one_is_replaced(make: Callable[[Path, str], None], tmp_path: Path) -> None:
    for text in ("first", "second"):
        with whole(tmp_path / "out") as temporary:
            make(temporary, text)
            assert _content(tmp_path / "out") == (None if text == "first" else "first")
        assert _content(tmp_path / "out") == text
        assert os.listdir(tmp_path) == ["out"]


@KINDS
def test_what_raises_leaves_the_old_one_and_nothing_else(make: Callable[[Path, str], None], tmp_path: Path) -> None:
    make(tmp_path / "out", "old")
    with pytest.raises(RuntimeError, match="in the middle"):
        _break_off(tmp_path / "out", lambda temporary: make(temporary, "new"))
    assert _content(tmp_path / "out") == "old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("failing", range(12))
@pytest.mark.parametrize("old", [True, False], ids=["old ones", "nothing there"])
def test_each_step_that_fails_leaves_all_old_or_all_new_ones(
    failing: int, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files and two folders that appear together; the system refuses one call after the other."""
    outputs = {"a.txt": _file, "b": _folder, "c.txt": _file, "d": _folder}
    if old:
        for name, make in outputs.items():
            make(tmp_path / name, f"old {name}")
    calls = 0

    def refuse(real: Callable) -> Callable:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls == failing + 1:
                raise OSError(5, "Input/output error")
            return real(*args, **kwargs)

        return call

    error = None
    try:
        with Staging() as staging:
            for name, make in outputs.items():
                make(staging.place(tmp_path / name), f"new {name}")
            monkeypatch.setattr(os, "replace", refuse(os.replace))
    except RunError as caught:
        error = caught
    monkeypatch.undo()
    found = {name: _content(tmp_path / name) for name in outputs}
    before = {name: f"old {name}" if old else None for name in outputs}
    after = {name: f"new {name}" for name in outputs}
    assert found == (after if error is None else before)
    assert sorted(os.listdir(tmp_path)) == sorted(name for name in outputs if found[name] is not None)
    assert (error is None) == (calls <= failing), "every refused call is told"
    if error is not None:
        assert error.exit_code == 1
        assert Path(error.subject).name in outputs


def test_a_file_system_without_links_keeps_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path / "a", "old a")
    _folder(tmp_path / "b", "old b")

    def no_links(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    real = os.replace

    def refuse_b(source: Path, target: Path) -> None:
        if Path(source).name == "b" and Path(target).name == "b":
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "replace", refuse_b)
    with pytest.raises(RunError) as caught:
        _write_both(tmp_path)
    assert caught.value.subject == str(tmp_path / "b")
    assert (_content(tmp_path / "a"), _content(tmp_path / "b")) == ("old a", "old b")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def _write_both(folder: Path) -> None:
    with Staging() as staging:
        _file(staging.place(folder / "a"), "new a")
        _folder(staging.place(folder / "b"), "new b")


KILLED = """
import os, signal, sys
from pathlib import Path
from signgen.files import whole

target, renames, real = Path(sys.argv[1]), 0, os.replace

def replace(*paths):
    global renames
    renames += 1
    if renames == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)

os.replace = replace
with whole(target) as temporary:
    temporary.mkdir()
    (temporary / "inside").write_text("new")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process so")
def test_a_kill_between_the_two_renames_of_a_folder_is_put_back(tmp_path: Path) -> None:
    target = tmp_path / "out"
    _folder(target, "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    recover(target)
    assert _content(target) == "old"
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["out"]


KILLED_AMONG = """
import os, signal, sys
from pathlib import Path
from signgen.files import Staging

folder, left, real = Path(sys.argv[1]), int(sys.argv[2]), os.replace

def replace(*paths):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)

os.replace = replace
with Staging() as staging:
    for name in "abc":
        staging.place(folder / name).write_text("new")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process so")
@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_kill_among_outputs_that_belong_together_is_put_right_by_the_next_start(moved: int, tmp_path: Path) -> None:
    for name in "ab":
        _file(tmp_path / name, "old")
    done = subprocess.run([sys.executable, "-c", KILLED_AMONG, str(tmp_path), str(moved)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    before = [_content(tmp_path / name) for name in "abc"]
    assert before == ["new"] * moved + ["old", "old", None][moved:]
    with whole(tmp_path / "another") as temporary:  # what any process that writes there does first
        temporary.write_text("x")
        remove_leftovers(tmp_path)  # this one has been there before
    assert [_content(tmp_path / name) for name in "abc"] == ["new"] * 3
    assert sorted(os.listdir(tmp_path)) == ["a", "another", "b", "c"]


def test_folders_of_other_people_and_links_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{socket.gethostname()}-{_dead_process()}-x"
    (tmp_path / "elsewhere").mkdir()
    _file(tmp_path / "elsewhere" / "a", "theirs")
    (tmp_path / f".signgen-{name}").symlink_to(tmp_path / "elsewhere")
    _folder(tmp_path / f".signgen-ready-{name}", "planted")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    remove_leftovers(tmp_path)
    assert len(os.listdir(tmp_path)) == 3
    assert _content(tmp_path / "elsewhere") == "theirs"
    assert not (tmp_path / "inside").exists()


def test_what_somebody_else_has_left_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command looks through the system's folder for temporary files, where a file is its owner's to move."""
    _file(tmp_path / ".signgen-old-a", "theirs")

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "replace", refuse)
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [".signgen-old-a"]


def test_a_number_that_another_process_has_by_now_does_not_keep_a_folder(tmp_path: Path) -> None:
    """In a container, say, where every start has the same number."""
    left = tmp_path / f".signgen-{socket.gethostname()}-{os.getpid()}-x"
    left.mkdir()
    remove_leftovers(tmp_path)
    assert left.exists(), "it might be a new one that is not locked yet"
    os.utime(left, (0, 0))
    remove_leftovers(tmp_path)
    assert not left.exists()
    other = tmp_path / ".signgen-elsewhere-1-x"
    other.mkdir()
    os.utime(other, (time.time() - 3600,) * 2)
    remove_leftovers(tmp_path)
    assert other.exists(), "locks of another machine may not reach this one"
    os.utime(other, (0, 0))
    remove_leftovers(tmp_path)
    assert not other.exists()


def test_temporary_folders_are_private_and_swept_when_their_owner_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom signgen.files import temporary_folder\nwith temporary_folder() as folder:\n"
        " assert folder.stat().st_mode & 0o77 == 0\n (folder / 'visitor').write_text('x')\n"
        " os.kill(os.getpid(), signal.{})"
    )
    for name, left in (("SIGKILL", 1), ("SIGKILL", 1), ("SIGCONT", 0)):
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", code.format(name)], env=environment, timeout=120)
        assert len(os.listdir(tmp_path)) == left, "each start removes what the one before has left"


def test_the_next_output_of_that_name_puts_the_old_one_back_first(tmp_path: Path) -> None:
    target = tmp_path / "out"
    _folder(tmp_path / ".signgen-old-out", "old")
    seen = []
    with pytest.raises(RuntimeError):
        _break_off(target, lambda _: seen.append(_content(target)))
    assert seen == ["old"] == [_content(target)]


def test_leftovers_of_living_processes_stay(tmp_path: Path) -> None:
    with whole(tmp_path / "out") as temporary:
        temporary.write_text("new")
        dead = tmp_path / f".signgen-{socket.gethostname()}-{_dead_process()}-x"
        dead.mkdir()
        remove_leftovers(tmp_path)
        assert not dead.exists()
    assert _content(tmp_path / "out") == "new"


def _dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_refused_and_never_replaced(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "it"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # a socket's path may have about 100 characters
        socket.socket(socket.AF_UNIX).bind("it")
    else:
        target.symlink_to("/dev/null")
    before = target.stat()
    writes = (lambda: place_file(target, b"x"), lambda: place_folder(target, [], ".*"), lambda: _break_off(target, str))
    for write in writes:
        with pytest.raises(NotWritable) as caught:
            write()
        assert kind in caught.value.got
    assert os.path.samestat(before, target.stat())
    assert os.listdir(tmp_path) == ["it"]


@KINDS
def test_a_link_is_followed(make: Callable[[Path, str], None], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real", tmp_path / "link"
    make(real, "old")
    link.symlink_to(Path("elsewhere") / "real")
    with whole(link) as temporary:
        make(temporary, "new")
    assert link.is_symlink()
    assert _content(real) == "new"
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link"]
    assert os.listdir(tmp_path / "elsewhere") == ["real"]


@KINDS
@pytest.mark.parametrize("lost", [False, True], ids=["leads there", "leads nowhere"])
def test_a_link_itself_is_replaced_where_that_is_asked_for(
    make: Callable[[Path, str], None], lost: bool, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real", tmp_path / "link"
    if not lost:
        make(real, "old")
    link.symlink_to(real)
    with suppress(RuntimeError), whole(link, follow=False) as temporary:
        make(temporary, "new")
        raise RuntimeError
    assert os.readlink(link) == str(real)
    with whole(link, follow=False) as temporary:
        make(temporary, "new")
    assert not link.is_symlink()
    assert _content(link) == "new"
    assert _content(real) == (None if lost else "old")
    with whole(link, follow=False) as temporary:
        temporary.symlink_to(real)
    assert os.readlink(link) == str(real)
    assert os.listdir(tmp_path / "elsewhere") == ([] if lost else ["real"])
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link"]


def test_what_cannot_be_written_is_said_before_anything_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path / "file", "")
    with pytest.raises(NotFound):
        check_target(tmp_path / "none" / "a.mp4", "file")
    with pytest.raises(NotWritable):
        check_target(tmp_path, "file")
    with pytest.raises(NotWritable):
        check_target(tmp_path / "file", "folder")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(NotWritable):
        check_target(tmp_path / "new", "file")


def test_only_a_folder_of_known_names_makes_room(tmp_path: Path) -> None:
    place_folder(tmp_path / "frames", [("1.png", b""), ("2.png", b"")], r"\d\.png")
    place_folder(tmp_path / "frames", [("3.png", b"")], r"\d\.png")
    assert os.listdir(tmp_path / "frames") == ["3.png"]
    check_replaceable(tmp_path / "frames", {"3.png", "4.png"})
    with pytest.raises(NotWritable):
        place_folder(tmp_path / "frames", [("4.png", b"")], "[12].png")
    assert os.listdir(tmp_path / "frames") == ["3.png"]


def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path / "a", "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("signgen.files.write_pieces", full)
    with pytest.raises(RunError) as caught:
        place_file(tmp_path / "a", b"new")
    assert caught.value.got == "no space left on the disk"
    assert _content(tmp_path / "a") == "old"
    assert os.listdir(tmp_path) == ["a"]
