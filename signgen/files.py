"""Outputs that appear whole or not at all: the one place that renames, replaces and tidies up.

    with whole(Path("clip.mp4")) as temporary:
        write(temporary)

What is written lies in a hidden folder beside its target until the block ends well, and is then renamed. A file is
replaced in one step. A folder takes two: the old one moves aside under a hidden name, the new one takes its place. If
the second step fails, the old one is put back; if the process is killed between the two, `recover` puts it back at
the next start. Of several outputs of one folder that appear together the next start puts the rest in place.

Whoever makes a hidden folder holds its lock, which ends with the process, however that ends. The next process that
writes beside it removes what nobody holds any more. Folders for temporary files have such names and locks, too.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal

from signgen.errors import NotFound, NotWritable, RunError, SignGenError
from signgen.signals import held

NEARLY_NONE = 4 * 2**20  # bytes; torch does not say why a file could not be written, a disk with less left says it
_HIDDEN, _READY, _ASIDE = ".signgen-", ".signgen-ready-", ".signgen-old-"
_YOUNG = 60  # seconds in which a new folder may still lack its lock
_LONG_SILENT = 86_400  # seconds; whether locks reach another machine is never known, so its folders must be this old
_SPECIAL = {stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}


class Staging:
    """Outputs that appear together, or none of them; what was there before survives every failure.

    ``with Staging() as staging: write_to(staging.place(target))``

    Args:
        durable: have everything on the disk before it is renamed, so that a power cut leaves the old or the new.
    """

    def __init__(self, durable: bool = False) -> None:
        self._durable = durable
        self._folders: dict[Path, _Hidden] = {}
        self._moves: list[tuple[Path, Path, Path]] = []  # temporary, where a link leads, the name that was given

    def place(self, target: Path, follow: bool = True) -> Path:
        """Where to write what shall become ``target``, a file or a folder: the same name in a hidden folder.

        Args:
            target: where it shall lie.
            follow: what a link points to is replaced and the link stays; else the link itself is replaced.

        Raises:
            NotFound, NotWritable: there is no folder to write into, it cannot be written, or the target is a device,
                a pipe or a socket.
        """
        final = _followed(target) if follow else target.absolute()
        _check_kind(target, final)
        recover(final)
        if final.parent not in self._folders:
            with held():
                self._folders[final.parent] = _Hidden(target, final.parent)
        temporary = self._folders[final.parent].path / final.name
        self._moves.append((temporary, final, target))
        return temporary

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with held():
            try:
                if kind is None:
                    self._put_in_place()
            finally:
                for folder in self._folders.values():
                    folder.remove()
        if isinstance(error, SignGenError):
            self._name_target(error)

    def _put_in_place(self) -> None:
        """All renames; where one fails or is interrupted, those before it are undone."""
        if self._durable:
            for folder in self._folders.values():
                flush(folder.path)
        alone = len(self._moves) == 1
        done: list[tuple[Path, bool]] = []
        for folder in () if alone else self._folders.values():
            folder.call(_READY)
        for _, final, target in self._moves:
            temporary = self._folders[final.parent].path / final.name
            try:
                if not alone or _is_folder(final) or _is_folder(temporary):  # a file or a link is replaced in one step
                    done.append((final, _set_aside(final)))
                os.replace(temporary, final)
            except BaseException as error:
                for folder in self._folders.values():
                    folder.call(_HIDDEN)
                for changed, had_old in reversed(done):
                    _undo(changed, had_old)
                if not isinstance(error, OSError):
                    raise
                words = f"cannot be put in place ({error.strerror})"
                raise RunError(target, words, "check the folder's permissions; what was there is unchanged") from None
        for final, _ in done:
            _remove(_aside(final))

    def _name_target(self, error: SignGenError) -> None:
        """Raises the error again with the target's name where it names the hidden place."""
        for temporary, _, target in self._moves:
            if Path(error.subject) == temporary:
                raise type(error)(target, error.got, error.advice) from error


@contextmanager
def whole(target: Path, durable: bool = False, follow: bool = True) -> Iterator[Path]:
    """One output, a file or a folder: `Staging` for it alone. Yields where to write it."""
    with Staging(durable) as staging:
        yield staging.place(target, follow)


def place_file(target: Path, data: bytes | Iterable[bytes]) -> None:
    """Writes a file, whole or not at all.

    Args:
        data: its content, or pieces of it one after the other.

    Raises:
        NotFound, NotWritable: see `check_target`.
        RunError: the disk is full or refuses.
    """
    check_target(target, "file")
    with writing(target, "check free space and permissions"), whole(target) as temporary:
        write_pieces(temporary, data)


def write_pieces(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Writes a file, one piece after the other."""
    with path.open("wb") as file:
        file.writelines([data] if isinstance(data, bytes) else data)


def place_folder(target: Path, files: Iterable[tuple[str, bytes]], replaceable: str) -> None:
    """Writes a folder of files, whole or not at all.

    Args:
        files: names and contents.
        replaceable: regular expression; an older folder makes room only if all names in it match.

    Raises:
        NotFound, NotWritable: see `check_target` and `check_replaceable`.
        RunError: the disk is full or refuses.
    """
    check_target(target, "folder")
    check_replaceable(target, replaceable)
    with writing(target, "check free space and permissions"), whole(target) as temporary:
        temporary.mkdir()
        for name, data in files:
            (temporary / name).write_bytes(data)


def check_target(target: Path, kind: Literal["file", "folder"]) -> None:
    """Whether something of this kind can be written there; links are followed.

    Raises:
        NotFound: there is no folder to write into.
        NotWritable: it cannot be written, or the target is of another kind, a device, a pipe or a socket.
    """
    final = _followed(target)
    _check_kind(target, final)
    if kind == "file" and final.is_dir():
        raise NotWritable(target, "is a folder", "give the name of a file to write")
    if kind == "folder" and final.is_file():
        raise NotWritable(target, "is a file", "give the name of a folder")
    _check_parent(target, final.parent)
    if not os.access(final.parent, os.W_OK | os.X_OK):
        raise NotWritable(target, f"the folder {final.parent} cannot be written", "write elsewhere")


def check_replaceable(folder: Path, allowed: str | Collection[str]) -> None:
    """An older folder makes room only if it holds nothing else: names that ``allowed`` matches or lists.

    Raises:
        NotWritable: it holds something else.
    """
    names = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []
    for name in names:
        if not (re.fullmatch(allowed, name) if isinstance(allowed, str) else name in allowed):
            raise NotWritable(folder, f"holds other files, such as {name}", "give a new or empty folder")


def recover(target: Path) -> None:
    """Puts back what a killed process had moved aside to make room for its own ``target``."""
    aside = _aside(target)
    if not aside.exists() and not aside.is_symlink():
        return
    if target.exists():
        _remove(aside)
    else:
        os.replace(aside, target)


def remove_leftovers(folder: Path, deep: bool = True, of_all: bool = False) -> None:
    """Removes hidden folders whose owner is gone, after what was ready in them is put in place; where nobody else is at
    work, what was moved aside comes back.

    Args:
        deep: at any depth, and not just in the folder itself.
        of_all: whoever their owner is; to be asked for when nobody is at work there.
    """
    places: dict[Path, list[Path]] = {}
    for path in (folder.rglob if deep else folder.glob)(f"{_HIDDEN}*"):
        places.setdefault(path.parent, []).append(path)
    for paths in places.values():
        aside = [path for path in paths if path.name.startswith(_ASIDE)]
        busy = False
        for path in paths:
            if path in aside:
                continue
            if of_all or _is_abandoned(path):
                if path.name.startswith(_READY):
                    with suppress(OSError):  # another process may be at the same
                        _finish(path)
                _remove(path)
            else:
                busy = True
        for path in () if busy else aside:
            with suppress(OSError):  # somebody else's, in a place that all may write to, or gone meanwhile
                recover(path.with_name(path.name.removeprefix(_ASIDE)))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder for this user alone in the system's place for temporary files, removed when the block ends."""
    place = Path(tempfile.gettempdir())
    with ExitStack() as stack:
        with held():
            folder = _Hidden(place, place)
            stack.callback(folder.remove)
        yield folder.path


def discard(path: Path) -> None:
    """Removes a file or a folder, which until then is there whole: it first goes under a hidden name."""
    with held():
        hidden = _Hidden(path, path.absolute().parent)
        try:
            os.replace(path, hidden.path / path.name)
        finally:
            hidden.remove()


@contextmanager
def writing(path: Path, advice: str) -> Iterator[None]:
    """Turns a failed write into a `RunError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise RunError(path, reason(error, path.parent), advice) from error


def reason(error: BaseException, folder: Path) -> str:
    """Why something could not be written into ``folder``, in a few words."""
    text = " ".join(str(error).split())
    full = getattr(error, "errno", None) == errno.ENOSPC or f"os error {errno.ENOSPC}" in text
    if full or free_bytes(folder) < NEARLY_NONE:
        return "no space left on the disk"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be written ({error.strerror})"
    return f"cannot be written ({text[:160] or type(error).__name__})"


def free_bytes(folder: Path) -> int:
    """Bytes that are free where ``folder`` is, or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def gibibytes(count: float) -> str:
    """``12.3 GiB``, or in MiB or KiB what is small."""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.0f} KiB"


def flush(folder: Path) -> None:
    """Has everything in ``folder`` on the disk, so that a rename after it never comes to lie before its content."""
    for path in (*sorted(folder.rglob("*")), folder):
        with suppress(PermissionError):  # some systems open no folder
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _followed(target: Path) -> Path:
    """Where a link leads; a path that is no link only becomes absolute, so that messages keep its names."""
    return Path(os.path.realpath(target)) if target.is_symlink() else target.absolute()


def _check_kind(target: Path, final: Path) -> None:
    try:
        kind = _SPECIAL.get(stat.S_IFMT(final.stat().st_mode))
    except OSError:  # nothing there yet, or nothing that can be looked at: what follows says so
        return
    if kind is not None:
        raise NotWritable(target, f"is a {kind}", "give the name of a file or a folder")


def _check_parent(target: Path, parent: Path) -> None:
    if not parent.is_dir():
        raise NotFound(target, f"there is no folder {parent}", "make it first, or write elsewhere")


class _Hidden:
    """A new hidden folder in ``parent``, which this process holds; errors speak of ``target``.

    What others have left there is removed first, once a process: that is at its start.
    """

    _swept: ClassVar[set[Path]] = set()

    def __init__(self, target: Path, parent: Path) -> None:
        _check_parent(target, parent)
        if parent not in self._swept:
            self._swept.add(parent)
            remove_leftovers(parent, deep=False)
        try:
            self.path = Path(tempfile.mkdtemp(prefix=f"{_HIDDEN}{_process()}-", dir=parent))
        except OSError as error:
            words = error.strerror or type(error).__name__
            raise NotWritable(target, f"the folder cannot be written ({words})", "write elsewhere") from None
        self._lock = _lock(self.path, wait=True)  # for somebody who looks whether it is free

    def call(self, prefix: str) -> None:
        """Changes the beginning of its name, which says whether what it holds is ready."""
        name = self.path.name.removeprefix(_READY).removeprefix(_HIDDEN)
        with suppress(OSError):
            self.path = self.path.rename(self.path.with_name(f"{prefix}{name}"))

    def remove(self) -> None:
        with held():
            shutil.rmtree(self.path, ignore_errors=True)
            if self._lock is not None:
                os.close(self._lock)


def _lock(folder: Path, wait: bool) -> int | None:
    """The handle that locks a folder; None where there are no such locks.

    Raises:
        BlockingIOError: another one has it, and ``wait`` is False.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:
        os.close(handle)
        return None
    return handle


def _finish(folder: Path) -> None:
    """Puts in place what a killed process had ready."""
    for path in folder.iterdir():
        target = folder.with_name(path.name)
        with suppress(OSError):
            if target.is_dir():
                _set_aside(target)
            os.replace(path, target)


def _is_abandoned(folder: Path) -> bool:
    """Whether the process that made a hidden folder is gone, however it was ended; False for folders of others."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "geteuid") and found.st_uid != os.geteuid()):
            return False
        lock = _lock(folder, wait=False)
        if lock is not None:
            os.close(lock)
        silent = time.time() - max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except OSError:  # it is held, gone meanwhile, or not to be looked at
        return False
    free = lock is not None
    machine, _, number = folder.name.removeprefix(_READY).removeprefix(_HIDDEN).rpartition("-")[0].rpartition("-")
    if machine != socket.gethostname():
        return free and silent > _LONG_SILENT
    return number.isdigit() and (not _lives(int(number)) or (free and silent > _YOUNG))  # numbers come again


def _process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _lives(process: int) -> bool:
    if os.name != "posix":  # elsewhere this call would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _aside(target: Path) -> Path:
    """Where the old one waits while the new one takes its place: a name that the next start knows."""
    return target.with_name(f"{_ASIDE}{target.name}")


def _set_aside(target: Path) -> bool:
    """Makes room for what replaces ``target``; whether there was something.

    A file stays where it is, too, under a second name, so that it is there at any moment; a folder must move.
    """
    aside = _aside(target)
    _remove(aside)
    if target.is_dir() or target.is_symlink():  # of a link the name alone moves, whatever it leads to
        os.replace(target, aside)
        return True
    if not target.exists():
        return False
    try:
        os.link(target, aside)
    except OSError:  # a file system without second names
        shutil.copy2(target, aside)
    return True


def _undo(target: Path, had_old: bool) -> None:
    """Puts the old one back, or takes away what had no predecessor."""
    aside = _aside(target)
    if not had_old:
        _remove(target)
    elif aside.is_dir() or aside.is_symlink() or not target.exists():
        _remove(target)
        os.replace(aside, target)
    else:
        os.replace(aside, target)
        _remove(aside)  # two names of one file: the rename was none


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
