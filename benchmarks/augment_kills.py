"""An augmentation that is killed three times at random comes out as if it had never been.

    python benchmarks/augment_kills.py [--clips 200] [--frames 42] [--signers 2] [--copies 2] [--jobs 2]
                                         [--kills 3] [--seed 0] [--work DIR]

Draws a data set, augments it once without a stop, and once more into another folder, where the command gets SIGKILL at
random moments, each before the work is done, and is given again each time. Then it compares: every PNG, every keypoint
file and every file of the layouts byte for byte, and the manifests but for seconds. Also said: seconds, and the peak
memory of a run's largest process on a tenth of the clips and on all of them. Prints one JSON object; exit code 1 where
anything differs or a kill came too late. DIR must be new, or none of these figures means anything.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

USUAL = {"clips": 200, "frames": 42, "signers": 2, "copies": 2, "jobs": 2, "kills": 3, "seed": 0}
BY_HOST = ("manifest/", "augment.json")  # say when, where and how fast


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
    """SHA-256 of every file that must be equal."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and not path.is_symlink())
    named = ((path.relative_to(out).as_posix(), path) for path in files)
    return {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in named if not n.startswith(BY_HOST)}


def records(out: Path) -> dict[str, dict[str, object]]:
    """Manifest records without what may differ."""
    from signgen.augmentation.store import read_records

    return {name: {k: v for k, v in record.items() if k != "seconds"} for name, record in read_records(out).items()}


def draw(folder: Path, clips: int, frames: int) -> Path:
    """A drawn data set of short clips."""
    if not (folder / "synthetic.json").is_file():
        arguments = ["--clips", str(clips), "--frames-per-clip", str(frames), "--signers", "4", "--seed", "77"]
        subprocess.run([sys.executable, "-m", "signgen", "synthesize", str(folder), *arguments], check=True)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in USUAL.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--work", type=Path, default=None)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="signgen-kills-"))
    work.mkdir(parents=True, exist_ok=True)
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
    one, other = digests(work / "whole"), digests(work / "killed")
    differing = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    same_records = records(work / "whole") == records(work / "killed")
    result = {
        "clips": options.clips, "frames": options.frames, "signers": options.signers,
        "copies": options.copies, "jobs": options.jobs, "seconds": round(seconds, 1), "kills": kills,
        "killed_when_done": [count for count, _ in moments],
        "files": len(one), "differing": differing[:20], "same_records": same_records, "peak_mb": memory,
        "peak_mb_of_a_tenth": memory_few,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    return 0 if not differing and same_records and kills == options.kills else 1


if __name__ == "__main__":
    raise SystemExit(main())
