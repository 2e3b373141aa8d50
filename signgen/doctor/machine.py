"""The device, the numbers and the attention that a render and a training will use here."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from signgen import __version__
from signgen.package import WEIGHTS

GIGABYTE = 10**9
CLIP_FRAMES, FRAME = 1000, (210, 260)  # a long clip of PHOENIX14T
MEMORY_MB = 674  # peak of rendering 860 frames with mini on a CPU; 86 frames: 672 (benchmarks/render_speed.py)
ENCODERS = {"libx264": ".mp4", "libvpx-vp9": ".webm"}  # what signgen writes with, and what it writes


def describe_machine(folder: str | Path = ".") -> dict[str, Any]:
    """Plain data; ``folder``: whose disk is meant. Memory does not grow with the length of a clip."""
    import torch
    from huggingface_hub import constants

    from signgen.model.loading import choose_device, choose_dtype

    device = choose_device("auto")
    cuda = device.type == "cuda"
    raw = CLIP_FRAMES * FRAME[0] * FRAME[1] * 3
    return {
        "python": platform.python_version(),
        "signgen": __version__,
        "torch": torch.__version__,
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if cuda else f"{platform.machine()}, {_cpu_units()}",
        "device_memory_gb": _gigabytes(torch.cuda.get_device_properties(device).total_memory) if cuda else None,
        "dtype": str(choose_dtype("auto", device)).removeprefix("torch."),
        "attention": _attention(cuda),
        "threads": torch.get_num_threads(),
        "memory_gb": _memory(),
        "disk_free_gb": _gigabytes(shutil.disk_usage(folder).free),
        "encoders": _encoders(),
        "clip": {"frames": CLIP_FRAMES, "memory_mb": MEMORY_MB, "most_disk_mb": round(raw / 10**6)},
        "models": sorted(path.parent.name for path in WEIGHTS.glob("*/model_index.json")),
        "hub_cache": str(constants.HF_HUB_CACHE),
    }


def _gigabytes(size: int) -> float:
    return round(size / GIGABYTE, 1)


def _cpu_units() -> str:
    """The vector units of a CPU that networks may use."""
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    units = [name for name in ("amx_bf16", "avx512_bf16", "avx2") if capabilities.get(name)]
    return ", ".join(units) or "no vector units known"


def _attention(cuda: bool) -> str:
    """What renders use; torch chooses its kernel by shape and numbers. xformers is used where it is asked for."""
    import torch

    if not cuda:
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
    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        listed = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=30)
    except (RuntimeError, OSError, subprocess.TimeoutExpired):
        return "no ffmpeg: only PNG frames can be written; pip install imageio-ffmpeg"
    known = listed.stdout.split()
    states = [f"{kind} {name}{'' if name in known else ' is missing'}" for name, kind in ENCODERS.items()]
    return f"ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}: {', '.join(states)}"


def _memory() -> float | None:
    try:
        return _gigabytes(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None
