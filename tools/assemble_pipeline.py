"""Puts the trained parts of a model together: a pipeline folder, float16, with the figures of its training.

    python tools/assemble_pipeline.py signgen/weights/mini runs/mini/autoencoder runs/mini/fusion runs/mini/video

Later runs replace parts of earlier ones (video replaces the denoiser of the denoiser stage). The folder is written
whole or not at all, and refused where it is larger than ``--limit`` MiB.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import click
import torch

from signgen.errors import InputError

PARTS = ("vae", "fusion", "denoiser", "scheduler")


@click.command(help=__doc__)
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--limit", default=28.0, show_default=True, help="Largest size of all weight files together in MiB.")
@click.option("--steps", default=1, show_default=True, help="Default sampling steps of the pipeline.")
@click.option("--window", default=8, show_default=True, help="Default views of a window.")
@click.option("--overlap", default=2, show_default=True, help="Default frames carried over between windows.")
def main(target: Path, runs: tuple[Path, ...], limit: float, steps: int, window: int, overlap: int) -> None:
    pipeline = build(runs, steps, window, overlap)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    pipeline.save_pretrained(temporary)
    forget_origins(temporary)
    (temporary / "training.json").write_text(json.dumps(history(runs), indent=2), encoding="utf-8")
    size = sum(path.stat().st_size for path in temporary.rglob("*.safetensors")) / 2**20
    if size > limit:
        shutil.rmtree(temporary)
        raise InputError(target, f"the weights come to {size:.1f} MiB", f"at most {limit:g} MiB are allowed")
    keep = target / "README.md"
    if keep.exists():
        shutil.copy(keep, temporary / "README.md")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    click.echo(f"{target}: {size:.1f} MiB of weights")


def forget_origins(folder: Path) -> None:
    """Takes the paths of the training machine out of the parts' configurations."""
    for path in folder.glob("*/*config.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("_name_or_path", None)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def build(runs: tuple[Path, ...], steps: int, window: int, overlap: int) -> Any:
    """The pipeline of the newest parts, in float16."""
    from diffusers import DDIMScheduler

    from signgen.models.autoencoder import FrameAutoencoder
    from signgen.models.denoiser import Denoiser
    from signgen.models.fusion import FusionModel
    from signgen.pipeline import SignGenPipeline

    classes = {"vae": FrameAutoencoder, "fusion": FusionModel, "denoiser": Denoiser}
    folders = {part: run / "model" / part for run in runs for part in PARTS if (run / "model" / part).is_dir()}
    missing = [part for part in PARTS if part not in folders]
    if missing:
        raise InputError(", ".join(map(str, runs)), f"no trained {', '.join(missing)}", "name the runs of all stages")
    parts = {name: cls.from_pretrained(folders[name]).to(torch.float16) for name, cls in classes.items()}
    scheduler = DDIMScheduler.from_pretrained(folders["scheduler"])
    sampling = {"steps": steps, "window": window, "overlap": overlap}
    # The drawn signers of its training stand cut off above the hips.
    return SignGenPipeline(**parts, scheduler=scheduler, lower_body=False, **sampling)


def history(runs: tuple[Path, ...]) -> list[dict[str, Any]]:
    """What each stage did: steps, seconds, configuration without paths, and the last line of its log."""
    stages = []
    for run in runs:
        record = json.loads((run / "model" / "training.json").read_text(encoding="utf-8"))
        settings = {k: v for k, v in record["config"].items() if k not in ("data", "output", "start")}
        log = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
        last = {k: v for k, v in json.loads(log[-1]).items() if k not in ("step", "seconds")} if log else {}
        done = {"steps": record["step"], "processes": record.get("processes", 1), "seconds": round(record["seconds"])}
        stages.append({**done, "last": last, "config": settings})
    return stages


if __name__ == "__main__":
    main()
