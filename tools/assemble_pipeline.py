"""Puts the trained parts of a model together: a pipeline folder, float16, with the figures of its training.

    python tools/assemble_pipeline.py signgen/weights/mini runs/mini/autoencoder runs/mini/fusion runs/mini/video
    python tools/assemble_pipeline.py models/phoenix14t runs/phoenix14t/fusion runs/phoenix14t/video \\
        --limit 6000 --steps 20 --guidance 2,2 --dtype bfloat16

Later runs replace parts of earlier ones (video replaces the denoiser of the denoiser stage). Parts that no run has
trained are those that the denoiser's run started from: autoencoder, fusion model, image encoder. The folder is written
whole or not at all, and refused where it is larger than ``--limit`` MiB.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import torch

from signgen.commands.common import report
from signgen.errors import InputError, SignGenError
from signgen.model.networks.weight_files import no_bars
from signgen.model.published_weights import load_autoencoder, load_clip, load_image_encoder

PARTS = ("vae", "fusion", "denoiser", "scheduler")
SHARED = {"lower_body": False}  # of runs that were trained before they said so themselves: signers end above the hips
DTYPES = ("float16", "bfloat16", "float32")


@click.command(help=__doc__)
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--limit", default=28.0, show_default=True, help="Largest size of all weight files together in MiB.")
@click.option("--steps", default=1, show_default=True, help="Default sampling steps of the pipeline.")
@click.option("--window", default=8, show_default=True, help="Default views of a window.")
@click.option("--overlap", default=2, show_default=True, help="Default frames carried over between windows.")
@click.option("--guidance", default="1,1", show_default=True, help="Default weights w1,w2 of guidance (FPDM eq. 12).")
@click.option("--dtype", type=click.Choice(DTYPES), default="float16", show_default=True, help="Of the weights.")
def main(target: Path, runs: tuple[Path, ...], limit: float, dtype: str, **sampling: Any) -> None:
    try:
        sampling["guidance"] = _weights(sampling["guidance"])
        size = assemble(target, runs, limit, getattr(torch, dtype), **sampling)
    except SignGenError as error:
        sys.exit(report(error))
    click.echo(f"{target}: {size:.1f} MiB of weights")


def assemble(target: Path, runs: tuple[Path, ...], limit: float, dtype: torch.dtype, **sampling: Any) -> float:
    """Writes ``target`` and returns the size of its weight files in MiB."""
    pipeline = build(runs, dtype, **sampling)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    with no_bars():
        pipeline.save_pretrained(temporary)
    forget_origins(temporary)
    (temporary / "training.json").write_text(json.dumps(history(runs), indent=2), encoding="utf-8")
    size = sum(path.stat().st_size for path in temporary.rglob("*.safetensors")) / 2**20
    if size > limit:
        shutil.rmtree(temporary)
        raise InputError(target, f"the weights come to {size:.1f} MiB", f"at most {limit:g} MiB are allowed: --limit")
    keep = target / "README.md"
    if keep.exists():
        shutil.copy(keep, temporary / "README.md")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    return size


def forget_origins(folder: Path) -> None:
    """Takes the paths of the training machine out of the parts' configurations."""
    for path in folder.glob("*/*config.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("_name_or_path", None)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _weights(text: str) -> list[float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError("--guidance", f"got {text!r}", "give two numbers, such as 2,2") from None
    return [first, second]


def build(runs: tuple[Path, ...], dtype: torch.dtype = torch.float16, **sampling: Any) -> Any:
    """The pipeline of the newest parts; ``sampling`` are its defaults (steps, window, overlap, guidance)."""
    from diffusers import DDIMScheduler

    from signgen.model import SignGenPipeline
    from signgen.model.networks.denoiser import Denoiser
    from signgen.model.networks.fusion import FusionModel

    folders = {part: run / "model" / part for run in runs for part in PARTS if (run / "model" / part).is_dir()}
    missing = [part for part in ("denoiser", "scheduler") if part not in folders]
    if missing:
        raise InputError(", ".join(map(str, runs)), f"no trained {', '.join(missing)}", "name the runs of all stages")
    model = folders["denoiser"].parent
    start = json.loads((model / "training.json").read_text(encoding="utf-8"))["config"]["start"]
    denoiser = Denoiser.from_pretrained(folders["denoiser"])
    vae = folders.get("vae") or start.get("vae") or start.get("autoencoder")
    fusion = folders.get("fusion") or start.get("fusion")
    semantic = denoiser.source_encoder.semantic is not None
    encoder = start.get("image_encoder") if semantic else None
    clip = start.get("clip") if "fusion" not in start else None
    unused = denoiser.config.fusion_dim is None and (encoder or not semantic)
    parts = {
        "vae": load_autoencoder(str(vae)),
        "denoiser": denoiser,
        "fusion": None if unused else load_clip(clip, combine=False) if clip else FusionModel.from_pretrained(fusion),
        "image_encoder": None if encoder is None else load_image_encoder(encoder),
    }
    parts = {name: None if part is None else part.to(dtype) for name, part in parts.items()}
    scheduler = DDIMScheduler.from_pretrained(folders["scheduler"])
    return SignGenPipeline(**parts, scheduler=scheduler, **geometry(model), **sampling)


def geometry(model: Path) -> dict[str, Any]:
    """Sizes and habits of the frames that the denoiser in ``model`` was trained on."""
    path = model / "pipeline.json"
    return SHARED | (json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})


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
