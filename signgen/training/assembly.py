"""The trained parts of runs, and of models, as one model: a pipeline's folder, with the figures of its training."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler

from signgen.errors import Mismatch, Missing, NotWritable, TooLarge
from signgen.files import check_target, whole
from signgen.model import SignGenPipeline
from signgen.model.loading import keep_person, parts_of
from signgen.model.networks.composer import FrameComposer, SourceMatte
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel
from signgen.model.networks.refiner import RegionRefiner
from signgen.model.networks.weight_files import no_bars, read_settings
from signgen.model.published_weights import load_autoencoder, load_clip, load_image_encoder
from signgen.model.regions import REFINERS
from signgen.package import PERSONAL
from signgen.training.starts import stage_network

PARTS = ("vae", "fusion", "denoiser", "scheduler", "image_encoder", *REFINERS, "matte", "composer")
KEPT = "README.md"  # written by hand: the model's card stays when the model is assembled again
RECORD = "training.json"
MODEL_INDEX = "model_index.json"
# What a model says of itself besides its parts.
_SETTINGS = set(inspect.signature(SignGenPipeline.__init__).parameters) - {"self", *PARTS}
SHARED = {"lower_body": False}  # of runs that were trained before they said so themselves: signers end above the hips


def assemble(
    target: Path, runs: Sequence[Path], *, dtype: str = "float16", limit: float | None = None, **sampling: Any
) -> dict[str, Any]:
    """Writes a model's folder, whole or not at all. An earlier model in its place is replaced, but for its README.md.

    Args:
        target: the model's folder.
        runs: output folders of trainings, or models; parts of later ones replace those of earlier ones.
        dtype: float16, bfloat16 or float32, of the weights.
        limit: MiB that the weight files may have together; None: any number.
        **sampling: the pipeline's defaults: steps, window, overlap, guidance, guidance_rule, shutter; those of a model
            stay where they are None.

    Returns:
        Plain data: output, parts (what the model consists of), runs, size_mib, dtype.

    Raises:
        InputError: a run lacks what is needed, the weights are larger than ``limit``, or ``target`` holds other things.
    """
    _check_replaceable(target)
    record = history(runs)
    persons = [run for run in runs if (run / PERSONAL).is_file()]
    if len({(run / PERSONAL).read_bytes() for run in persons}) > 1:
        raise Mismatch(target, "parts of models of two people", "name one person's model")
    pipeline = build(runs, getattr(torch, dtype), **sampling)
    target.parent.mkdir(parents=True, exist_ok=True)
    check_target(target, "folder")
    with whole(target) as folder:
        with no_bars():
            pipeline.save_pretrained(folder)
        for person in persons:
            keep_person(person, folder)
        _forget_origins(folder)
        (folder / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
        size = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 2**20
        if limit is not None and size > limit:
            raise TooLarge(target, f"the weights come to {size:.1f} MiB", f"at most {limit:g} MiB are allowed")
        if (target / KEPT).exists():
            shutil.copy(target / KEPT, folder / KEPT)
    parts = [name for name in pipeline.components if getattr(pipeline, name) is not None]
    return {
        "output": str(target),
        "parts": parts,
        "runs": [str(run) for run in runs],
        "size_mib": round(size, 2),
        "dtype": dtype,
    }


def _check_replaceable(target: Path) -> None:
    """Only an earlier model or an empty folder may make room."""
    if target.exists() and not (target / "model_index.json").is_file() and (target.is_file() or any(target.iterdir())):
        raise NotWritable(target, "is there and is no model", "give a new or empty folder")


def _forget_origins(folder: Path) -> None:
    """Takes the paths of the training machine out of the parts' configurations."""
    for path in folder.glob("*/*config.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("_name_or_path", None)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def build(runs: Sequence[Path], dtype: torch.dtype = torch.float16, **sampling: Any) -> SignGenPipeline:
    """The pipeline of the newest parts; ``sampling`` are its defaults (steps, window, overlap, guidance).

    Raises:
        InputError: no run has trained a denoiser, or a record of it is missing.
    """
    kept: dict[str, Any] = {}
    folders: dict[str, Path] = {}
    for run in runs:
        whole_model = (run / MODEL_INDEX).is_file()
        place = run if whole_model else run / "model"
        folders |= parts_of(place, PARTS)
        if whole_model:
            kept = {key: value for key, value in read_settings(run, MODEL_INDEX).items() if key in _SETTINGS}
    start, geometry = _origin(Path(_part(folders, "denoiser")).parent)
    denoiser = stage_network(Denoiser, folders["denoiser"])
    semantic = denoiser.source_encoder.semantic is not None
    encoder = folders.get("image_encoder") or start.get("image_encoder") if semantic else None
    parts = {
        "vae": load_autoencoder(str(_part(folders, "vae", start.get("vae") or start.get("autoencoder")))),
        "denoiser": denoiser,
        "fusion": None,
        "image_encoder": None if encoder is None else load_image_encoder(str(encoder)),
    }
    if denoiser.config.fusion_dim is not None or (semantic and encoder is None):
        clip = start.get("clip") if "fusion" not in start else None
        parts["fusion"] = (
            load_clip(clip, combine=False)
            if clip
            else stage_network(FusionModel, _part(folders, "fusion", start.get("fusion")))
        )
    kinds = dict.fromkeys(REFINERS, RegionRefiner) | {"matte": SourceMatte, "composer": FrameComposer}
    parts |= {name: stage_network(kind, folders[name]) for name, kind in kinds.items() if name in folders}
    parts = {name: None if part is None else part.to(dtype) for name, part in parts.items()}
    scheduler = DDIMScheduler.from_pretrained(_part(folders, "scheduler"))
    chosen = {name: value for name, value in sampling.items() if value is not None}
    return SignGenPipeline(**parts, scheduler=scheduler, **{**kept, **geometry, **chosen})


def _part(folders: dict[str, Path], name: str, start: str | None = None) -> Path | str:
    """Where a part is: trained by one of the runs, else the folder or hub id that the denoiser started from."""
    if name not in folders and start is None:
        raise Missing("RUN", f"no run has trained a {name}", "name the output folders of all stages")
    return folders.get(name) or str(start)


def _origin(model: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the denoiser in ``model`` started from; sizes and habits of the frames that it was trained on."""
    if (model / MODEL_INDEX).is_file():  # a model has all its parts, and says the rest itself
        return {}, {}
    path = model / "pipeline.json"
    geometry = SHARED | (json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})
    return read_settings(model, RECORD)["config"]["start"], geometry


def history(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """What each stage did: steps, seconds, configuration without paths, and the last line of its log."""
    stages: list[dict[str, Any]] = []
    for run in runs:
        if (run / MODEL_INDEX).is_file():
            stages += json.loads((run / RECORD).read_text(encoding="utf-8")) if (run / RECORD).is_file() else []
            continue
        record = read_settings(run / "model", RECORD)
        settings = {k: v for k, v in record["config"].items() if k not in ("data", "output", "start")}
        last = {k: v for k, v in _last_line(run / "log.jsonl").items() if k not in ("step", "seconds")}
        done = {"steps": record["step"], "processes": record.get("processes", 1), "seconds": round(record["seconds"])}
        stages.append({**done, "last": last, "config": settings})
    return stages


def _last_line(log: Path) -> dict[str, Any]:
    """The last line of a log that is whole, {} where there is none: a kill cuts lines, and not all copy logs along."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    for line in reversed(lines):
        with suppress(ValueError):
            return dict(json.loads(line))
    return {}
