"""Commands that are killed or stopped at random moments leave old or new output, whole, and nothing else.

    python benchmarks/kills.py [commands] [--kills 100] [--signals 40] [--only NAME ...] [--model mini] [--work DIR]
    python benchmarks/kills.py augment [--clips 200] [--frames 42] [--signers 2] [--copies 2] [--jobs 2] [--kills 3]

`commands`: render, prepare, train, augment, synthesize, export, draw and convert, each small. Each has an output
already, or is a run that goes on, and is started again and again: a third of the signals come in the first second, the
others at any time until the end, if it has not come before (``ended_before``). A SIGINT goes to the whole group, as a
terminal sends it, the others to the command alone or to the group, by chance. Then:

- no process is left, of workers and encoders neither;
- the output is the old one or the new one, whole, or a part of a run that goes on;
- after SIGINT and SIGTERM there is one line, an exit code, no traceback, and no hidden file;
- given again, the command ends well, its output is that of a run that nobody stopped, and no hidden file is left beside
  it or in the folder for temporary files.

A signal that comes while Python itself starts ends it Python's way: those are counted (``before_signgen``), as are
kills between two renames of one output, which the next start puts right (``mended``).

`augment`: a large data set is augmented once without a stop, and once more with SIGKILLs, each before the work is done.
Every PNG, keypoint file and layout file is compared byte for byte, and the manifest but for seconds. Also said:
seconds, and the peak memory of a run's largest process on a tenth of the clips and on all of them.

Prints one JSON object; exit code 1 where anything is wrong. DIR must be new, or the figures mean nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signgen.files import remove_leftovers

LARGE = {"clips": 200, "frames": 42, "signers": 2, "copies": 2, "jobs": 2, "seed": 0}
TIMED = ("seconds", "frames_per_second", "seconds_left", "begun")  # what JSON says of a run, and not of its result
PATIENCE = 60.0  # seconds in which processes must be gone, and a stopped command at its end
MARK = "SIGNGEN_KILLS"  # in the environment of what was begun here
KILLS = (signal.SIGKILL,)
STOPS = (signal.SIGINT, signal.SIGTERM)


def run(
    out: Path, options: argparse.Namespace, dataset: Path, moment: tuple[int, float] | None = None
) -> tuple[float, int, bool]:
    """Seconds, peak memory (MB) and whether it was killed: one command, with SIGKILL at ``moment``.

    A moment is (clips that are finished, seconds after that): however fast the machine is just then, work is left.
    """
    command = [
        sys.executable, "-m", "signgen", "augment", str(dataset), str(out), "--signers", str(options.signers),
        "--copies", str(options.copies), "--vary", "all", "--jobs", str(options.jobs), "--layout", "phoenix14t",
        "--json",
    ]  # fmt: skip
    begun, peak, killed = time.monotonic(), [0], False
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    watch = threading.Thread(target=watch_memory, args=(process, peak), daemon=True)
    watch.start()
    if moment is not None:
        while process.poll() is None and finished(out) < moment[0]:
            time.sleep(0.05)
        time.sleep(moment[1])
        killed = process.poll() is None
        process.kill()
    code = process.wait()
    if code != 0 and not killed:
        raise SystemExit(f"{' '.join(command)}: exit code {code}")
    watch.join()
    return time.monotonic() - begun, peak[0], killed


def finished(out: Path) -> int:
    """Lines of the manifest."""
    return sum(path.read_bytes().count(b"\n") for path in (out / "manifest").glob("part-*.jsonl"))


def watch_memory(process: subprocess.Popen[bytes], peak: list[int]) -> None:
    """Keeps the largest resident set of the process and its children, MB; Linux alone knows it."""
    while process.poll() is None:
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            except OSError:
                continue
            if str(process.pid) in (fields["Pid"].strip(), fields["PPid"].strip()) and "VmHWM" in fields:
                peak[0] = max(peak[0], int(fields["VmHWM"].split()[0]) // 1024)
        time.sleep(0.5)


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of every file; of JSON without what `TIMED` names and without folders, and hidden files left out."""
    files = [out] if out.is_file() else (path for path in sorted(out.rglob("*")) if path.is_file())
    named = ((path.relative_to(out.parent).as_posix(), path) for path in files if not path.is_symlink())
    return {name: hashlib.sha256(timeless(path)).hexdigest() for name, path in named if "/." not in f"/{name}"}


def timeless(path: Path) -> bytes:
    """A file's bytes; of JSON and of lines of JSON, without what differs between two runs of one command."""
    data = path.read_bytes()
    if path.suffix == ".xml":  # OpenVINO numbers constants anew in each run
        return b"\n".join(sorted(re.sub(rb"\d+", b"", data).splitlines()))
    if path.suffix not in (".json", ".jsonl"):
        return data
    lines = data.splitlines() if path.suffix == ".jsonl" else [data]
    values = [json.loads(line) for line in lines]
    return re.sub(r'"/[^"]*/', '"', json.dumps([without(value) for value in values])).encode()


def without(value: Any) -> Any:
    return {k: v for k, v in value.items() if k not in TIMED} if isinstance(value, dict) else value


def draw(folder: Path, clips: int, frames: int) -> Path:
    """A drawn data set of short clips."""
    if not (folder / "synthetic.json").is_file():
        arguments = ["--clips", str(clips), "--frames-per-clip", str(frames), "--signers", "4", "--seed", "77"]
        subprocess.run([sys.executable, "-m", "signgen", "synthesize", str(folder), *arguments], check=True)
    return folder


def augment_large(options: argparse.Namespace, work: Path) -> tuple[dict[str, Any], bool]:
    """The `augment` of the module's text: figures, and whether all is well."""
    whole = draw(work / "set", options.clips, options.frames)
    few = draw(work / "few", max(options.clips // 10, 1), options.frames)
    memory_few = run(work / "few-out", options, few)[1]
    seconds, memory, _ = run(work / "whole", options, whole)
    chance = random.Random(options.seed)
    clips = options.clips * options.copies
    shares = sorted(chance.uniform(0.0, 0.95) for _ in range(options.kills))
    moments = [(int(share * clips), chance.uniform(0, 2 * seconds / clips)) for share in shares]
    kills = sum(run(work / "killed", options, whole, moment)[2] for moment in moments)
    run(work / "killed", options, whole)
    one, other = ({n.partition("/")[2]: d for n, d in digests(work / name).items()} for name in ("whole", "killed"))
    differing = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    result = {
        "clips": options.clips, "frames": options.frames, "signers": options.signers,
        "copies": options.copies, "jobs": options.jobs, "seconds": round(seconds, 1), "kills": kills,
        "killed_when_done": [count for count, _ in moments],
        "files": len(one), "differing": differing[:20], "peak_mb": memory,
        "peak_mb_of_a_tenth": memory_few,
    }  # fmt: skip
    return result, not differing and kills == options.kills


# --- eight commands -------------------------------------------------------------------------------------------------


@dataclass
class Command:
    """One of the eight.

    Attributes:
        name, arguments: what is run; ``{out}`` stands for its output.
        outputs: its files or folders in the output folder.
        old: arguments that make what is there before; None: a run that goes on from nothing.
        again: what is added to go on.
        seconds: an uninterrupted run; new, before: digests after it, and of what was there.
    """

    name: str
    arguments: list[str]
    outputs: list[str]
    old: list[str] | None = None
    again: list[str] = field(default_factory=list)
    seconds: float = 0.0
    new: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)

    def start(self, out: Path, temporary: Path, more: list[str], old: bool = False) -> subprocess.Popen[str]:
        chosen = self.old if old and self.old is not None else self.arguments
        words = [word.replace("{out}", str(out)) for word in (*chosen, *more)]
        environment = {**os.environ, "TMPDIR": str(temporary), MARK: str(os.getpid())}
        return subprocess.Popen(
            [sys.executable, "-m", "signgen", self.name, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, env=environment, start_new_session=True,
        )  # fmt: skip

    def whole(self, out: Path, temporary: Path, more: list[str] | None = None, old: bool = False) -> None:
        """Runs it to its end, which must be a good one."""
        process = self.start(out, temporary, more or [], old)
        _, said = process.communicate()
        if process.returncode:
            raise SystemExit(f"{self.name} ended with {process.returncode}: {said}")

    def to_go_on(self, out: Path) -> list[str]:
        return self.again if any((out / "t/checkpoints").glob("step-*")) else []

    def state(self, out: Path) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in self.outputs:
            found.update(digests(out / name) if (out / name).exists() else {})
        return found


def eight(work: Path, model: str) -> list[Command]:
    """The commands on a small drawn data set."""
    data = draw(work / "data", 3, 8)
    clip, other = (str(path) for path in sorted((data / "keypoints").glob("*.npz"))[:2])
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 16, "projection_dim": 16}  # fmt: skip
    settings = {"stage": "fusion", "data": str(data), "steps": 8, "batch": 4, "threads": 1, "precision": "no",
                "sheet_steps": 0, "log_steps": 1, "tensorboard": False, "save_minutes": 0.0,
                "model": {"vision": vision, "dropout": 0.3}}  # fmt: skip
    (work / "train.json").write_text(json.dumps(settings))  # JSON is YAML
    video = ["-o", "{out}/a.mp4", "--compare", "{out}/b.mp4", "--model", model]
    return [
        Command("render", [clip, *video, "--seed", "1"], ["a.mp4", "a.json", "b.mp4", "b.json"], [other, *video]),
        Command("prepare", [str(data), "{out}/p", "--triplets", "50", "--jobs", "2"], ["p"]),
        Command(
            "train",
            [str(work / "train.json"), "--set", "output={out}/t"],
            ["t/model", "t/log.jsonl"],
            None,
            ["--resume"],
        ),  # fmt: skip
        Command(
            "augment", [str(data), "{out}/g", "--signers", "2", "--copies", "2", "--jobs", "2", "--model", model], ["g"]
        ),  # fmt: skip
        Command(
            "synthesize", ["{out}/s", "--clips", "6", "--signers", "2", "--frames-per-clip", "8", "--jobs", "2"], ["s"]
        ),  # fmt: skip
        Command("export", [model, "-o", "{out}/e"], ["e"], [model, "-o", "{out}/e"]),
        Command("draw", [clip, "-o", "{out}/d"], ["d"], [clip, "-o", "{out}/d", "--style", "fpdm"]),
        Command("convert", [clip, "{out}/c.pose"], ["c.pose", "c.pose.header"], [other, "{out}/c.pose"]),
    ]


@dataclass(frozen=True)
class Signal:
    """What is sent ``moment`` seconds after the start, to the command alone or to its ``group``."""

    sent: signal.Signals
    moment: float
    group: bool


def trial(command: Command, place: Path, old: Path, chain: list[Signal]) -> Iterator[tuple[Signal | None, str]]:
    """One signal after the other on one output, and then the command undisturbed.

    Yields what is wrong, and what is counted, which begins with ``+``; after which signal, None: at the end.
    """
    out, temporary = place / "out", place / "tmp"
    temporary.mkdir(parents=True)
    for number, one in enumerate(chain):
        if not out.exists():
            if command.old is None:
                out.mkdir()
            else:
                shutil.copytree(old, out)
        ended = False
        for words in stopped(command, out, temporary, one):
            ended = ended or words == "+ended_before"
            yield one, words
        if ended and number + 1 < len(chain):  # the next one finds the beginning again
            yield from ((one, words) for words in compared(command, out, temporary))
            shutil.rmtree(out)
    command.whole(out, temporary, command.to_go_on(out))
    yield from ((None, words) for words in compared(command, out, temporary))
    shutil.rmtree(place)


def compared(command: Command, out: Path, temporary: Path) -> Iterator[str]:
    """What is wrong after a run that came to its end."""
    if (state := command.state(out)) != command.new:
        differing = [name for name in state.keys() | command.new.keys() if state.get(name) != command.new.get(name)]
        yield f"differs afterwards: {sorted(differing)[:5]}"
    if left := [*hidden(out), *(path for path in temporary.iterdir() if not path.name.startswith("torchinductor_"))]:
        yield f"left {left[:5]}"


def stopped(command: Command, out: Path, temporary: Path, given: Signal) -> Iterator[str]:
    """One start and one signal."""
    process = command.start(out, temporary, command.to_go_on(out))
    try:
        _, said = process.communicate(timeout=given.moment)
        yield "+ended_before"
    except subprocess.TimeoutExpired:
        (os.killpg if given.group else os.kill)(process.pid, given.sent)
    begun = time.monotonic()
    try:
        _, said = process.communicate(timeout=10 * PATIENCE if command.name == "train" else PATIENCE)
    except subprocess.TimeoutExpired:
        yield f"still runs {PATIENCE:g} s after it"
        os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
    while (left := orphans()) and time.monotonic() < begun + PATIENCE:
        time.sleep(0.05)
    if left:
        yield f"left {left}"
        for one in left:
            os.kill(int(one.split()[0]), signal.SIGKILL)
    if given.sent in STOPS:
        yield from stopped_well(process.returncode, said, [*hidden(out), *hidden(temporary)])
    state = command.state(out)
    if command.old is not None and state not in (command.before, command.new):
        remove_leftovers(out)  # as the next start does
        state = command.state(out)
        fine = state in (command.before, command.new)
        yield "+mended" if fine else f"is neither the old nor the new output: {sorted(state)}"


def stopped_well(code: int | None, said: str, left: list[Path]) -> Iterator[str]:
    """What is wrong with the end of a command that got SIGINT or SIGTERM."""
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    if "signgen" not in said and code in (1, -signal.SIGINT, -signal.SIGTERM) and not lines:
        yield "+before_signgen"
        return
    if "Traceback" in said or "Exception ignored" in said:
        yield f"said {said[-1500:]}"
    if code == 1 and lines == ["error: interrupted: stopped by the user; unfinished files were removed"]:
        yield "+one_line"
    elif code == 0 and not lines:
        yield "+done"  # it was at its end; a training saves and ends well
    else:
        yield f"ended with {code} and {lines}"
    if left:
        yield f"left {left[:5]}"


def hidden(folder: Path) -> list[Path]:
    return list(folder.rglob(".signgen-*"))


def orphans() -> list[str]:
    """Processes that were begun here and still run: number and name."""
    mark, found = f"{MARK}={os.getpid()}".encode(), []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (place / "environ").read_bytes().split(b"\0"):
                found.append(f"{place.name} {(place / 'comm').read_text().strip()}")
        except OSError:  # ended, or another user's
            continue
    return found


def eight_commands(options: argparse.Namespace, work: Path) -> tuple[dict[str, Any], bool]:
    """The `commands` of the module's text: figures, and whether all is well."""
    commands = [one for one in eight(work, options.model) if not options.only or one.name in options.only]
    for command in commands:
        reference, temporary = work / f"new-{command.name}", work / "tmp"
        temporary.mkdir(exist_ok=True)
        if command.old is not None:
            old = work / f"old-{command.name}"
            old.mkdir()
            command.whole(old, temporary, old=True)
            if command.name == "export":  # there is but one model: another one's export says so
                manifest = next(old.rglob("*.json"))
                manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "model": "older"}))
            command.before = command.state(old)
        reference.mkdir()
        begun = time.monotonic()
        command.whole(reference, temporary)
        command.seconds, command.new = time.monotonic() - begun, command.state(reference)
        print(f"{command.name}: {command.seconds:.1f} s, {len(command.new)} files", file=sys.stderr)
    chance = random.Random(options.seed)
    counts, wrong = {sent.name: Counter[str]() for sent in (*KILLS, *STOPS)}, list[str]()
    wanted = ((KILLS, options.kills), (STOPS, options.signals))
    chains = [(command, kinds, count // len(commands)) for kinds, count in wanted for command in commands]
    for number, (command, kinds, length) in enumerate(chains):
        chain = list[Signal]()
        for place in range(length):
            sent = chance.choice(kinds)
            moment = chance.uniform(0.0, command.seconds if place % 3 else 1.0)
            chain.append(Signal(sent, moment, sent == signal.SIGINT or chance.random() < 0.5))
            counts[sent.name]["sent"] += 1
            counts[sent.name]["in the first second"] += moment <= 1.0
        for given, words in trial(command, work / str(number), work / f"old-{command.name}", chain):
            if given is not None and words.startswith("+"):
                counts[given.sent.name][words[1:]] += 1
            else:
                wrong.append(f"{number} {command.name} after {given or chain}: {words}")
                print(wrong[-1], file=sys.stderr)
        print(number, command.name, [f"{one.sent.name} {one.moment:.2f}" for one in chain], file=sys.stderr)
    seconds = {command.name: round(command.seconds, 1) for command in commands}
    result = {"seconds": seconds, **{name: dict(count) for name, count in counts.items()}, "wrong": wrong}
    return result, not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("commands", "augment"), default="commands")
    for name, default in LARGE.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kills", type=int, help="SIGKILLs; 100 of commands, 3 of augment.")
    parser.add_argument("--signals", type=int, default=40, help="SIGINTs and SIGTERMs together.")
    parser.add_argument("--model", default="mini", help="Of render, augment and export: a smaller one is quicker.")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--work", type=Path, default=None)
    options = parser.parse_args()
    if options.kills is None:
        options.kills = 3 if options.what == "augment" else 100
    work = options.work or Path(tempfile.mkdtemp(prefix="signgen-kills-"))
    work.mkdir(parents=True, exist_ok=True)
    for number in STOPS:  # a shell that starts this in the background has them ignored, and children inherit that
        signal.signal(number, signal.default_int_handler)
    does: Callable[..., tuple[dict[str, Any], bool]] = augment_large if options.what == "augment" else eight_commands
    result, fine = does(options, work.absolute())
    print(json.dumps(result, indent=1))
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
