"""FPDM's protocol on PHOENIX14T, or on any data set in its layout: source = a clip's first frame, target = every frame.

    python benchmarks/phoenix14t.py --data PHOENIX --keypoints KEYPOINTS --split test --out RUN_DIR
    python benchmarks/phoenix14t.py --out RUN_DIR                   # on SynthPhoenix-test, drawn and checked first

Renders the clips as lossless PNG, evaluates them as `signgen evaluate` does and writes ``results.json`` and
``results.md`` to RUN_DIR, beside the rows that others have reported. The same command goes on with a run that was
stopped: clips that are there are kept, and systems that are evaluated are not evaluated again. Folders and frames
are laid out as RUN_DIR/renders/<system>@<source>/<clip>/images0001.png.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from phoenix14t_score import evaluate_system, evaluator_sha256
from phoenix14t_systems import SOURCES, Models, SourceFrames, System, clips_sha256, make_clip
from phoenix14t_table import document
from synth_phoenix import frozen_test

from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import InputError, SignGenError
from signgen.video import frame_files

SYSTEMS = "copy,autoencoder,{m}-1,{m}-2,{m}-4,{m}-20,{m}-1-nocva,{m}-1-alone,{m}-1-nofusion"
IDENTITY = "run.json"


def listed(text: str, option: str) -> list[str]:
    """A comma-separated list without blanks; `InputError` if it is empty or names something twice."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise InputError(option, f"got {text!r}", "give names separated by commas, each once")
    return names


def pick(clips: tuple[Clip, ...], limit: int | None) -> tuple[Clip, ...]:
    """``limit`` clips, evenly over the split."""
    if limit is None or limit >= len(clips):
        return clips
    return tuple(clips[i] for i in np.linspace(0, len(clips) - 1, limit).round().astype(int))


def check_clips(clips: tuple[Clip, ...]) -> None:
    """Raises `InputError` naming the clips without keypoints: nothing can be rendered from those."""
    bare = [clip.name for clip in clips if clip.keypoints is None]
    if bare:
        got = f"{len(bare)} clips have no keypoints, such as {', '.join(bare[:3])}"
        raise InputError("--keypoints", got, "give the folder that holds one keypoint file per clip")


def claim(folder: Path, identity: dict[str, Any]) -> None:
    """Marks a folder as holding this run; `InputError` if it holds another, such as one of other weights."""
    path = folder / IDENTITY
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        write_whole(path, json.dumps(identity, indent=1) + "\n")
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key in identity if before.get(key) != identity[key]]
    if changed:
        raise InputError(folder, f"holds a run with other {', '.join(changed)}", "delete it or give another --out")


def keypoints_sha256(clips: tuple[Clip, ...]) -> str:
    """What tells one data set's keypoints from another's: names and files of all clips of the split."""
    digest = hashlib.sha256()
    for clip in clips:
        content = b"" if clip.keypoints is None else clip.keypoints.read_bytes()
        digest.update(clip.name.encode() + b"\n" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def runs(systems: list[System], sources: list[str]) -> Iterator[tuple[System, str | None]]:
    """Every system with every source; those that look at no source once."""
    for system in systems:
        yield from ((system, source) for source in (sources if system.uses_source else [None]))


def folder_of(out: Path, system: System, source: str | None) -> Path:
    return out / "renders" / (system.name if source is None else f"{system.name}@{source}")


def is_made(folder: Path, clip: Clip) -> bool:
    """Whether a clip's frames are there; they appear together."""
    made = folder / clip.name
    return made.is_dir() and len(frame_files(made)) == len(clip.frames)


def make(
    out: Path, clips: tuple[Clip, ...], every: list[tuple[System, str | None]], frames: SourceFrames, models: Models,
    seed: int,
) -> None:  # fmt: skip
    """Renders what is not there yet."""
    for system, source in every:
        folder = folder_of(out, system, source)
        identity: dict[str, Any] = {"system": system.name, "source": source, "seed": seed}
        if system.name != "copy":
            identity["weights"] = models.sha256()
        claim(folder, identity)
        for number, clip in enumerate(clips, 1):
            if not is_made(folder, clip):
                picture = frames.load(clip, source or "first")
                make_clip(system, clip, picture, models, folder / clip.name, seed)
                print(f"{folder.name}: {number}/{len(clips)} clips", file=sys.stderr)


def score(
    out: Path, data: Path, clips: tuple[Clip, ...], every: list[tuple[System, str | None]], options: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row per system and source, from ``scores/`` where it has been evaluated on these very frames."""
    rows = []
    (out / "scores").mkdir(exist_ok=True)
    for system, source in every:
        folder = folder_of(out, system, source)
        path = out / "scores" / f"{folder.name}.json"
        identity = {**json.loads((folder / IDENTITY).read_text(encoding="utf-8")), "clips": clips_sha256(clips)}
        identity["evaluator"] = evaluator_sha256()
        identity["options"] = {key: str(value) for key, value in options.items()}
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if kept.get("identity") != identity:
            kept = {"identity": identity, "result": evaluate_system(folder, clips, data, **options)}
            write_whole(path, json.dumps(kept, indent=1) + "\n")
            print(f"{folder.name}: evaluated", file=sys.stderr)
        rows.append({"system": system.name, "source": source, **kept["result"]})
    return rows


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), help="the data set [SynthPhoenix-test, drawn into --out]")
@click.option("--keypoints", type=click.Path(path_type=Path), help="folder of one keypoint file per clip")
@click.option("--split", default="test", show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="folder of frames and results")
@click.option("--model", default="mini", show_default=True, help="name or folder; its systems are called after it")
@click.option("--systems", help=f"[{SYSTEMS.format(m='mini')}]")
@click.option(
    "--sources", default="first", show_default=True, help=f"of {','.join(SOURCES)}; the first makes the table"
)
@click.option("--limit", type=click.IntRange(1), help="only so many clips, evenly over the split")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="of the noise")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="processes that evaluate")
@click.option("--detector", default="signgen", show_default=True, help="hand detector of Hand PE")
@click.option("--fid", type=click.Path(path_type=Path), help="weights of FID's network")
@click.option("--lpips", type=click.Path(path_type=Path), help="weights of LPIPS's network")
@click.option("--recogniser", help="folder of a recogniser; 'default': the one that comes with signgen")
@click.option("--device", default="auto", show_default=True)
def main(
    data: Path | None,
    keypoints: Path | None,
    split: str,
    out: Path,
    model: str,
    systems: str | None,
    sources: str,
    limit: int | None,
    seed: int,
    device: str,
    **evaluation: Any,
) -> None:
    name = Path(model).name
    wanted = [System.parse(entry, name) for entry in listed(systems or SYSTEMS.format(m=name), "--systems")]
    kinds = listed(sources, "--sources")
    if unknown := [kind for kind in kinds if kind not in SOURCES]:
        raise InputError("--sources", f"got {unknown[0]!r}", f"choose from {', '.join(SOURCES)}")
    title = f"{data.name}, {split}" if data else "SynthPhoenix-test"
    folder = data or frozen_test(out / "data", lambda n: print(f"{n} clips drawn", file=sys.stderr))
    whole = PhoenixIndex(folder, keypoints).clips(split)
    clips = pick(whole, limit)
    check_clips(clips)
    claim(out, {"keypoints": keypoints_sha256(whole)})
    models, every = Models(model, device=device), list(runs(wanted, kinds))
    make(out, clips, every, SourceFrames(whole), models, seed)
    rows = score(out, folder, clips, every, {"keypoints": keypoints, **evaluation})
    command = shlex.join(["python", "benchmarks/phoenix14t.py", *sys.argv[1:]])
    run = {"title": title, "command": command, "sources": kinds, "seed": seed, "limit": limit, "model": model}
    results = {"run": run, "rows": rows}
    write_whole(out / "results.json", json.dumps(results, indent=1) + "\n")
    write_whole(out / "results.md", document(results))
    print(document(results))


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
