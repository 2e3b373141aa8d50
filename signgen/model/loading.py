"""Which folder a model's name means, and where and in which numbers it runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from signgen.errors import BadValue, Damaged, Mismatch, NotFound, Unsupported, Untrusted
from signgen.package import PERSONAL, WEIGHTS

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SHARED = "shared.json"  # in a model's folder: parts that it has in common with a packaged model, which are not in it
_LIBRARIES = ("signgen", "diffusers", "transformers")  # whose classes a model folder may name
_INDEX = "model_index.json"
PICTURES = "sources"  # folder of a model that has learned a person


def model_folder(model: str | Path) -> Path:
    """The folder of a packaged model's name or of a path, checked to hold a pipeline of known classes.

    Raises:
        InputError: there is no such model, or its index cannot be trusted or read.
    """
    packaged = sorted(path.parent.name for path in WEIGHTS.glob(f"*/{_INDEX}"))
    folder = WEIGHTS / str(model) if str(model) in packaged else Path(model)
    if not folder.is_dir():
        names = ", ".join(packaged) or "none is packaged"
        raise NotFound(model, "no such model", f"give a model's folder or a packaged name ({names})")
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        named = [entry[0] for key, entry in index.items() if not key.startswith("_") and _is_component(entry)]
    except (OSError, ValueError, AttributeError, RecursionError):
        raise Damaged(model, f"has no readable {_INDEX}", "give a folder made by save_pretrained") from None
    strange = [library for library in named if library is not None and library.split(".")[0] not in _LIBRARIES]
    if strange:
        raise Untrusted(model, f"names classes of {strange[0]}", f"allowed are those of {', '.join(_LIBRARIES)}")
    return folder


def shared_parts(folder: Path) -> dict[str, Path]:
    """Where the parts lie that a model has in common with a packaged one, by name.

    Raises:
        InputError: the packaged model is not what it was when the folder was made.
    """
    if not (folder / SHARED).is_file():
        return {}
    try:
        record = json.loads((folder / SHARED).read_text(encoding="utf-8"))
        origins = [(str(name), Path(origin["model"]).name, origin["sha256"]) for name, origin in record.items()]
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise Damaged(folder / SHARED, "cannot be read", "make the model again") from None
    parts = {name: WEIGHTS / model / Path(name).name for name, model, _ in origins}
    for name, model, digest in origins:
        if not parts[name].is_dir() or sha256_of(parts[name]) != digest:
            advice = "install the signgen that its card names, or make it again"
            raise Mismatch(folder, f"was made with another {model} than is installed", advice)
    return parts


def parts_of(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Where the parts of a model lie that it has, by name: in its folder, or a packaged one's (`shared_parts`)."""
    return {name: folder / name for name in names if (folder / name).is_dir()} | shared_parts(folder)


def keep_person(model: Path, folder: Path) -> None:
    """Takes along whose model it is, with whose consent, and the person's pictures, where a model has learned one."""
    if (model / PERSONAL).is_file() and model.absolute() != folder.absolute():
        shutil.copyfile(model / PERSONAL, folder / PERSONAL)
        if (model / PICTURES).is_dir():
            shutil.copytree(model / PICTURES, folder / PICTURES, dirs_exist_ok=True)


def sha256_of(folder: Path) -> str:
    """Of the weights of one part."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_component(entry: Any) -> bool:
    """True for [library, class] of a model index; its other entries are plain settings."""
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(name, (str, type(None))) for name in entry)


def choose_device(device: str | torch.device) -> torch.device:
    """``auto``: CUDA where it is there."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        raise Unsupported("--device", f"got {device}, and there is no CUDA device", "use --device cpu")
    return torch.device(device)


def choose_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """``auto``: bfloat16 where the hardware computes faster in it, else the next best."""
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype != "auto":
        if dtype not in DTYPES:
            raise BadValue("--dtype", f"got {dtype!r}", f"choose auto or one of {', '.join(DTYPES)}")
        if dtype == "float16" and device.type == "cpu":
            raise Unsupported("--dtype", "got float16 on a CPU", "give bfloat16 or float32, or a CUDA device")
        return DTYPES[dtype]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if fast_in_bfloat16() else torch.float32


def fast_in_bfloat16() -> bool:
    """Whether this CPU computes faster in bfloat16: with AMX, or with AVX512-BF16 unless it is Intel's.

    An Intel core takes as long for a product of bfloat16 numbers as for two of float32, and the conversions come on
    top: without AMX its convolutions take 1.7 times as long as in float32.
    """
    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    others = "Intel" not in str(abilities.get("cpu_name", ""))
    return bool(abilities.get("amx_bf16") or (abilities.get("avx512_bf16") and others))
