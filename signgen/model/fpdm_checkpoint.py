"""A checkpoint of FPDM's trainers (Lightning) becomes a folder that signgen reads.

Which stage it is follows from the names of its tensors. What the shapes of tensors cannot tell (heads, groups of
norms, the size of frames) has the released value unless an argument says otherwise. A tensor without a place, a place
without a tensor and a wrong shape are errors that list them. No code in the checkpoint is run: tensors are read, all
other objects are passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from signgen.errors import Damaged, Missing, NotFound, NotWritable, Unsupported
from signgen.files import check_target, whole
from signgen.model.networks import reference
from signgen.model.networks.weight_files import no_bars, some
from signgen.model.pipeline import SignGenPipeline
from signgen.model.published_weights import load_image_encoder

# SD 2.1's, with which FPDM trains and samples.
SCHEDULE = {
    "num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "prediction_type": "v_prediction", "steps_offset": 1, "clip_sample": False,
}  # fmt: skip
SAMPLING = {"steps": 20, "guidance": [2.0, 2.0], "window": 8, "overlap": 0, "image_encoder_size": 512}


class Passed:
    """Stands for an object of the trainer's, such as its configuration: made and filled, but never asked anything."""

    def __init__(self, *given: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def convert(
    checkpoint: Path,
    target: Path,
    *,
    dtype: str = "float32",
    frame_size: tuple[int, int] = (512, 512),
    pixel_aspect: float = 1.0,
    heads: list[int] | None = None,
    norm_groups: int = 32,
    vae_norm_groups: int = 32,
    clip_heads: int | None = None,
    encoder_heads: int | None = None,
) -> dict[str, Any]:
    """Writes a fusion model into ``target/fusion``, or a pipeline into ``target``, whole or not at all.

    Args:
        checkpoint: a ``.ckpt`` file of stage 1 (fusion embedding) or stage 2 (denoiser and all that it needs).
        dtype: float32, bfloat16 or float16, of the weights.
        frame_size: (width, height) of the frames that it was trained on.
        pixel_aspect: shown width / true width of things in these frames.
        heads: attention heads of the denoiser by level; None: widths / 64.
        norm_groups, vae_norm_groups: groups of the norms of the denoiser and of the autoencoder.
        clip_heads, encoder_heads: of the fusion model's and of the source's image encoder; None: width / 64.

    Returns:
        Plain data: output, kind ("fusion model" or "pipeline"), tensors (how many were read), dtype.

    Raises:
        InputError: the file cannot be read or does not fit, or the output is there already.
    """
    state = read_state(checkpoint)
    first_stage = not any(key.startswith("sd_model.") for key in state)
    place = target / "fusion" if first_stage else target
    if place.exists():
        raise NotWritable(place, "is there already", "name another folder, or remove it")
    place.parent.mkdir(parents=True, exist_ok=True)
    numbers = getattr(torch, dtype)
    check_target(place, "folder")
    with whole(place) as folder:
        if first_stage:
            _as(reference.fpdm_fusion_model(state, clip_heads), numbers).save_pretrained(folder)
        else:
            parts = second_stage(state, folder, heads, norm_groups, vae_norm_groups, clip_heads, encoder_heads)
            networks = {name: _as(part, numbers) for name, part in parts.items()}
            settings: dict[str, Any] = {**SAMPLING, "frame_size": frame_size, "pixel_aspect": pixel_aspect}
            pipeline = SignGenPipeline(**networks, scheduler=DDPMScheduler(**SCHEDULE), pose_style="fpdm", **settings)
            with no_bars():
                pipeline.save_pretrained(folder)
    kind = "fusion model" if first_stage else "pipeline"
    return {"output": str(place), "kind": kind, "tensors": len(state), "dtype": dtype}


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; classes of the trainer's are read as `Passed`."""
    if not path.is_file():
        raise NotFound(path, "no such file", "give a .ckpt file of FPDM's trainers")
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([(Passed, name) for name in foreign]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # of many kinds: a damaged archive, no archive, objects of a kind that is not read
        reason = " ".join(str(error).split())[:160]
        raise Damaged(path, f"cannot be read as tensors ({reason})", "give a .ckpt file of FPDM's trainers") from None
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise Unsupported(path, "holds no state dict", "give a .ckpt file of FPDM's trainers")
    return state


def second_stage(
    state: dict[str, Tensor],
    folder: Path,
    heads: list[int] | None,
    norm_groups: int,
    vae_norm_groups: int,
    clip_heads: int | None,
    encoder_heads: int | None,
) -> dict[str, Any]:
    """The pipeline's networks; ``folder`` is where the image encoder's files are made."""
    parts = reference.stage2_parts(state)
    empty = [name for name, part in parts.items() if not part]
    if empty:
        raise Missing("checkpoint", f"has no {some(empty)}", f"it holds {some(sorted(state))}")
    return {
        "vae": reference.fpdm_vae(parts["vae"], vae_norm_groups),
        "denoiser": reference.fpdm_denoiser(parts["sd_model"], heads, norm_groups),
        "fusion": reference.fpdm_fusion_model(parts["fusion_model"], clip_heads),
        "image_encoder": image_encoder(parts["src_image_encoder"], folder / "image_encoder", encoder_heads),
    }


def image_encoder(state: dict[str, Tensor], folder: Path, heads: int | None) -> Any:
    """DINOv2 under the names of the hub, which transformers reads under any of its own."""
    from safetensors.torch import save_file
    from transformers import Dinov2Config

    folder.mkdir(parents=True)
    Dinov2Config(**reference.dinov2_settings(state, heads)).save_pretrained(folder)
    tensors = {key: value.contiguous() for key, value in state.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return load_image_encoder(str(folder))


def _as(module: Any, dtype: torch.dtype) -> Any:
    """The module in other numbers; as it is where it has them, for diffusers warns of every cast."""
    return module if module.dtype == dtype else module.to(dtype)
