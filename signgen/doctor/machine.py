"""The device, the numbers and the attention that a render and a training will use here."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signgen.folders import WEIGHTS
from signgen.model.published_weights import CATALOGUE, is_hub_id
from signgen.training.config import TrainConfig
from signgen.training.starts import Start, starts

# What a training configuration needs on this machine before it can begin.


MODEL_OF = {"autoencoder": "autoencoder", "fusion": "fusion", "denoiser": "denoiser or video"}  # stages that make it


@dataclass(frozen=True)
class Need:
    """One thing.

    Attributes:
        key: of the configuration; what: for people; where: what the configuration says.
        here: whether it is on this machine.
        megabytes: of the download where there is one, in 10**6 bytes.
        command: what gets it.
    """

    key: str
    what: str
    where: str
    here: bool
    megabytes: int | None
    command: str


def needs_of(config: TrainConfig) -> list[Need]:
    """The data set, and all that the stage starts from."""
    prepare = f"signgen prepare DATASET {config.data}  # or signgen synthesize {config.data}"
    data = Need("data", "a data set", config.data, Path(config.data).is_dir(), None, prepare)
    return [data, *map(_need, starts(config))]


def _need(start: Start) -> Need:
    key = f"start.{start.name}"
    if not start.base:
        stage = MODEL_OF.get(start.name, start.name)
        command = f"signgen train CONFIG  # of the stage {stage}, then --set {key}=RUN/model/{_folder(start.name)}"
        return Need(key, f"a trained {start.name}", start.where, start.here, None, command)
    part = CATALOGUE[start.name]
    where = start.where or part.hub
    command = part.command(where, is_hub_id(where))
    return Need(key, part.what, where, start.here, part.megabytes, command)


def _folder(name: str) -> str:
    """Under which name a stage saves the part."""
    return {"autoencoder": "vae", "encoder": "vae"}.get(name, name)


# The weights that come with the package: what each is for, its size, and a hash to compare two installations by.


USES = {
    "mini": "the default model of signgen render",
    "hand_detector": "Hand PE",
    "handshape_classifier": "legibility of hands",
    "recogniser": "glosses read back from video",
    "wrist_finder": "where hands are in frames",
}


@dataclass(frozen=True)
class Weights:
    """One folder of weights.

    Attributes:
        name: of the folder; use: what for; megabytes: of its weight files, in 10**6 bytes.
        sha256: over the weight files, their paths in the folder and their content; of a model, as manifests have it.
    """

    name: str
    use: str
    megabytes: float
    sha256: str


def packaged_weights(folder: Path = WEIGHTS) -> list[Weights]:
    """All that are there, by name."""
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(place.rglob("*.safetensors"))
        if files:
            size = sum(path.stat().st_size for path in files)
            found.append(Weights(place.name, USES.get(place.name, ""), round(size / 1e6, 1), _hash(place, files)))
    return found


def _hash(folder: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


GIGABYTE = 10**9
CLIP_FRAMES, FRAME = 1000, (210, 260)  # a long clip of PHOENIX14T
MEMORY_MB = 674  # peak of rendering 860 frames with mini on a CPU; 86 frames: 672 (benchmarks/render_speed.py)
ENCODERS = {"libx264": ".mp4", "libvpx-vp9": ".webm"}  # what signgen writes with, and what it writes


def describe_machine(folder: str | Path = ".") -> dict[str, Any]:
    """Plain data; ``folder``: whose disk is meant."""
    import torch

    from signgen.model.loading import choose_device, choose_dtype

    device = choose_device("auto")
    return {
        "python": platform.python_version(),
        "signgen": _own_version(),
        "torch": torch.__version__,
        "device": device.type,
        "device_name": _device_name(device),
        "device_memory_gb": _device_memory(device),
        "dtype": str(choose_dtype("auto", device)).removeprefix("torch."),
        "attention": _attention(device),
        "threads": torch.get_num_threads(),
        "memory_gb": _memory(),
        "disk_free_gb": round(shutil.disk_usage(folder).free / GIGABYTE, 1),
        "encoders": _encoders(),
        "clip": _clip(),
        "models": sorted(path.parent.name for path in WEIGHTS.glob("*/model_index.json")),
        "hub_cache": _hub_cache(),
    }


def _own_version() -> str:
    from signgen import __version__

    return __version__


def _device_name(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {_cpu_units()}"


def _cpu_units() -> str:
    """The units that make bfloat16 worth its while on a CPU."""
    import torch

    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    units = [name for name in ("amx_bf16", "avx512_bf16", "avx2") if abilities.get(name)]
    return ", ".join(units) or "no vector units known"


def _device_memory(device: Any) -> float | None:
    import torch

    if device.type != "cuda":
        return None
    return round(torch.cuda.get_device_properties(device).total_memory / GIGABYTE, 1)


def _attention(device: Any) -> str:
    """What renders use; torch chooses its kernel by shape and numbers. xformers is used where it is asked for."""
    import torch

    if device.type != "cuda":
        return "torch scaled_dot_product_attention (CPU kernel); bmm and softmax in training"
    kernels = {
        "flash": torch.backends.cuda.flash_sdp_enabled(),
        "memory-efficient": torch.backends.cuda.mem_efficient_sdp_enabled(),
        "cudnn": torch.backends.cuda.cudnn_sdp_enabled(),
    }
    names = ", ".join(name for name, on in kernels.items() if on) or "math"
    return f"torch scaled_dot_product_attention ({names})"


def _encoders() -> str:
    """The ffmpeg that writes videos, and which of the encoders that signgen asks for it has."""
    import subprocess

    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        listed = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=30)
    except (RuntimeError, OSError, subprocess.TimeoutExpired):
        return "no ffmpeg: only PNG frames can be written; pip install imageio-ffmpeg"
    words = listed.stdout.split()
    states = [f"{kind} {name}{'' if name in words else ' is missing'}" for name, kind in ENCODERS.items()]
    return f"ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}: {', '.join(states)}"


def _clip() -> dict[str, int]:
    """What a clip of a thousand frames takes to render: memory does not grow with its length."""
    raw = CLIP_FRAMES * FRAME[0] * FRAME[1] * 3
    return {"frames": CLIP_FRAMES, "memory_mb": MEMORY_MB, "most_disk_mb": round(raw / 10**6)}


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _hub_cache() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)
