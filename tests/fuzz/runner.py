"""Reads spoiled files in processes with limits, and says which of them did what they must not."""

from __future__ import annotations

import multiprocessing
import random
import resource
import signal
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType

import numpy as np

from signgen.errors import InputError
from signgen.keypoints import read_keypoints
from signgen.keypoints.summary import summary
from tests.fuzz.corpus import good_files
from tests.fuzz.mutations import spoiled

SECONDS, MEMORY = 20, 1 << 30  # that one file may take: of CPU time, and bytes beside what the program itself takes


class Hang(BaseException):
    """A file that takes too long; no reader can take it for bad input."""


@dataclass
class Outcome:
    """How many files gave what, and what went wrong: case and words."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[int, str]] = field(default_factory=list)


def examine(path: Path) -> str:
    """``accepted``, or the code of the error; raises whatever else the reader lets through."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        read = read_keypoints(path, first=True)
    except InputError as error:
        return error.code if "\n" not in str(error) and len(str(error)) < 1000 else f"no line: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    clip = read.keypoints
    assert np.isfinite(clip.xy).all()
    assert clip.confidence.min() >= 0
    assert 0 < clip.confidence.max() <= 1
    assert not clip.xy[clip.confidence == 0].any()
    assert summary(read)["frames"] == len(clip) > 0
    return "accepted"


def write_case(case: int, seed: int, files: dict[str, bytes], folder: Path) -> Path:
    """The file (or folder) of one case: a good one, spoiled by chance that depends on seed and case alone."""
    chance = random.Random(f"{seed}-{case}")
    name = chance.choice(sorted(files))
    data = spoiled(files[name], list(files.values()), chance)
    place = folder / "case" / Path(name).name
    place.parent.mkdir(exist_ok=True)
    for old in place.parent.iterdir():
        old.unlink()
    if name == "header":
        (place.parent / "clip.json.header").write_bytes(data)
        place = place.parent / "clip.json"
        data = files["mmpose"]
    elif "/" in name:
        siblings = [other for other in files if other.startswith(name.partition("/")[0] + "/")]
        for other in siblings:
            (place.parent / Path(other).name).write_bytes(files[other])
        place.write_bytes(data)
        return place.parent
    place.write_bytes(data)
    return place


def run(cases: range, seed: int = 0, jobs: int = 1, finds: Path | None = None) -> Outcome:
    """Examines these cases in ``jobs`` processes; files that went wrong are copied to ``finds``."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        files = good_files(Path(folder))
        pending = {_start(cases[job::jobs], seed, files, finds): None for job in range(jobs)}
        while pending:
            for channel in wait(list(pending)):
                assert isinstance(channel, Connection)
                try:
                    case, said = channel.recv()
                except EOFError:
                    pending.pop(channel)
                    continue
                if said in _FINE:
                    outcome.counts[said] += 1
                else:
                    outcome.wrong.append((case, said))
    missing = len(cases) - outcome.counts.total() - len(outcome.wrong)
    if missing:
        outcome.wrong.append((-1, f"{missing} cases not looked at: a process died"))
    return outcome


_FINE = {"accepted", *(kind.code for kind in InputError.__subclasses__()), InputError.code}


def _start(cases: range, seed: int, files: dict[str, bytes], finds: Path | None) -> Connection:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")  # a fork of threads at work may wait for ever
    context.Process(target=_work, args=(cases, seed, files, finds, theirs), daemon=True).start()
    theirs.close()
    return ours


def _work(cases: range, seed: int, files: dict[str, bytes], finds: Path | None, channel: Connection) -> None:
    limit_this_process()
    with tempfile.TemporaryDirectory() as name:
        for case in cases:
            path = write_case(case, seed, files, Path(name))
            channel.send((case, said := said_of(path)))
            if finds is not None and said not in _FINE and path.is_file():
                (finds / f"{seed}-{case}-{path.name}").write_bytes(path.read_bytes())


def said_of(path: Path) -> str:
    """As `examine`, with everything that it raises in words."""
    try:
        return examine(path)
    except (Exception, Hang) as error:
        return f"{type(error).__name__}: {str(error)[:200]}"


def limit_this_process() -> None:
    """From now on no file may take more memory or time than it should."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGPROF, _hang)


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang(f"more than {SECONDS} seconds")
