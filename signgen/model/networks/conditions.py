"""What conditions the denoiser: the target pose, its detail, the source's tokens, and the views already known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.controlnets.controlnet import ControlNetConditioningEmbedding, zero_module
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from signgen.errors import BadValue, Mismatch, Missing
from signgen.model.networks.autoencoder import ResidualConv

WHOLE_FRAME = (0.0, 0.0, 1.0, 1.0)
LAST = 3  # layers of the folded pose encoder from its last stride on: convolution, SiLU, convolution
FOLD = 2  # cells of the fine grid along each side of a latent cell
FILLS = ("zeros", "source")
GUIDE_ZERO, GUIDE_SCALE = 128 / 255, 255 / 127  # nothing, in bytes over 255; to [-1, 1]


# ---------------------------------------------------------------------------------------------- target pose
def frame_coordinates(images: Tensor, crop: Tensor | None = None, side: int = 1) -> Tensor:
    """Centres of ``side`` x ``side`` pixel blocks, (N, 2, ceil(H/side), ceil(W/side)): x, y in [-1, 1] of the frame.

    Args:
        images: (N, C, H, W); only size, dtype and device count.
        crop: (N, 4) or (4,), left, top, right, bottom of the images as fractions of the whole frame.
            None = the images are whole frames.
        side: of a block; the last blocks may reach over the edge.
    """
    count, _, height, width = images.shape
    box = torch.tensor(WHOLE_FRAME) if crop is None else crop
    left, top, right, bottom = (2.0 * box.to(images.device, torch.float32).expand(count, 4) - 1.0).unbind(-1)  # (N,)
    across = (torch.arange(-(-width // side), device=images.device) + 0.5) * (side / width)  # (w,)
    down = (torch.arange(-(-height // side), device=images.device) + 0.5) * (side / height)  # (h,)
    x = left[:, None] + across * (right - left)[:, None]  # (N, w)
    y = top[:, None] + down * (bottom - top)[:, None]  # (N, h)
    size = (count, down.numel(), across.numel())
    # Channels last in memory, so that putting it beside a channels-last image keeps that format.
    pairs = torch.stack([x[:, None, :].expand(size), y[:, :, None].expand(size)], dim=-1)  # (N, h, w, 2)
    return rearrange(pairs, "n h w c -> n c h w").to(images.dtype)  # (N, 2, h, w)


class PoseEncoder(nn.Module):
    """Pose image in [0, 1] to a feature map at latent size, added after the denoiser's first convolution.

    Without ``unshuffle`` this is FPDM's and IMAGPose's form, the ControlNet conditioning embedding: full-size
    convolutions, three strides of 2, a zero-initialised last convolution. With ``unshuffle=2`` the image is
    first folded (3 -> 12 channels at half size), which is several times cheaper.

    Args:
        out_channels: C0 of the denoiser.
        block_out_channels: widths from first to last; reference (16, 32, 96, 256), folded form e.g. (48, 64, 96).
        down: how many pixels one latent covers, 8; the strides left after ``unshuffle`` come last.
        unshuffle: side of the block that is folded into channels first; 1 = not.
        coordinates: two more channels after folding, x and y in [-1, 1] of the whole frame.
        channels: of the pose image.
        guide: channels behind these, see `signgen.model.guide`; they are read at the folded size.
        fine: channels of features at twice the latents' resolution that are handed on as well; 0 = none. The folded
            form with at least one stride only; the picture's sides must then be multiples of ``down``.
    """

    def __init__(
        self,
        out_channels: int,
        block_out_channels: Sequence[int] = (16, 32, 96, 256),
        down: int = 8,
        unshuffle: int = 1,
        coordinates: bool = False,
        channels: int = 3,
        guide: int = 0,
        fine: int = 0,
    ) -> None:
        super().__init__()
        self.down, self.unshuffle, self.coordinates = down, unshuffle, coordinates
        self.channels, self.guide = channels, guide
        if fine and not 1 < unshuffle < down:
            raise BadValue("pose encoder", f"fine features with unshuffle {unshuffle}", f"give 2 to {down // 2}")
        self.fine = nn.Conv2d(block_out_channels[-1], fine, 1) if fine else None
        first = channels * unshuffle**2 + 2 * coordinates + guide
        if unshuffle > 1:
            strides = round(math.log2(down / unshuffle))
            self.net: Any = _folded_convolutions(first, tuple(block_out_channels), out_channels, strides)
        else:
            if 2 ** (len(block_out_channels) - 1) != down:
                got = f"{len(block_out_channels)} widths for 1/{down} of the size"
                raise BadValue("pose encoder", got, f"give {round(math.log2(down)) + 1} widths")
            self.net = ControlNetConditioningEmbedding(out_channels, first, tuple(block_out_channels))

    def forward(self, pose: Tensor, crop: Tensor | None = None) -> Tensor:
        """(N, 3 [+ guide], H, W) in [0, 1] -> (N, out_channels [+ 4 fine], ceil(H/down), ceil(W/down)).

        Fine features follow folded, each 2 x 2 block of them as channels. ``crop`` as `frame_coordinates`. Without a
        guide, which the encoder reads, it says nothing.
        """
        shown, guide = pose[:, : self.channels], pose[:, self.channels :]
        folded = fold(shown, self.unshuffle) if self.unshuffle > 1 else shown  # (N, C*u*u, ceil(H/u), ceil(W/u))
        if self.coordinates:
            folded = torch.cat([folded, frame_coordinates(pose, crop, self.unshuffle)], dim=1)  # two more channels
        if guide.shape[1]:
            coarse = functional.avg_pool2d(guide, self.unshuffle, ceil_mode=True)
            folded = torch.cat([folded, (coarse - GUIDE_ZERO) * GUIDE_SCALE], dim=1)
        elif self.guide:
            folded = functional.pad(folded, (0, 0, 0, 0, 0, self.guide))
        if self.fine is None:
            return self.net(folded)  # (N, out_channels, h, w)
        if pose.shape[-2] % self.down or pose.shape[-1] % self.down:
            got = f"{pose.shape[-1]}x{pose.shape[-2]} pixels"
            raise Mismatch("pose image", got, f"this model needs multiples of {self.down}")
        before = self.net[:-LAST](folded)  # (N, last width, 2h, 2w)
        fine = functional.pixel_unshuffle(self.fine(before), FOLD)  # (N, 4 fine, h, w)
        return torch.cat([self.net[-LAST:](before), fine], dim=1)  # (N, out_channels + 4 fine, h, w)


def fold(images: Tensor, side: int) -> Tensor:
    """Pixel-unshuffle of any size: (N, C, H, W) -> (N, C*side^2, ceil(H/side), ceil(W/side)), edges padded by 0."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (0, -width % side, 0, -height % side))
    folded = functional.pixel_unshuffle(padded, side)
    # pixel_unshuffle forgets the memory format; without this every following convolution copies.
    last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return folded.contiguous(memory_format=torch.channels_last) if last else folded


def _folded_convolutions(first: int, widths: tuple[int, ...], out_channels: int, strides: int) -> nn.Sequential:
    """3x3 convolutions ``first -> widths... -> out -> out`` with SiLU between; the last ones before ``out`` stride.

    The last convolution starts at zero, so that a new pose encoder changes nothing.
    """
    if not 0 <= strides <= len(widths):
        raise BadValue("pose encoder", f"{strides} strides for {len(widths)} widths", "give a width per stride")
    sizes = (first, *widths, out_channels)
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
        stride = 2 if index >= len(sizes) - 1 - strides else 1
        layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.SiLU()]
    return nn.Sequential(*layers, zero_module(nn.Conv2d(out_channels, out_channels, 3, padding=1)))


# ----------------------------------------------------------------------------- detail at twice the resolution
# A finger is four pixels wide, a latent cell eight: inside the UNet what is left and right of a finger's edge is one
# position. Where latents are folded (see `FrameAutoencoder`) their own grid is twice as fine, and so are the pose
# encoder's features before its last stride. There a few convolutions cost little and see which finger is where.
class DetailHead(nn.Module):
    """Adds to the UNet's prediction what features and pose say at twice the resolution; changes nothing when new.

    Args:
        channels: C of the latents; a multiple of 4.
        features: channels that the UNet hands over beside its prediction; a multiple of 4.
        pose_channels: channels of the pose encoder's fine features.
        width: of the convolutions.
        blocks: residual blocks.
    """

    def __init__(self, channels: int, features: int, pose_channels: int, width: int = 64, blocks: int = 2) -> None:
        super().__init__()
        fine = (channels + features) // FOLD**2
        self.channels = channels
        self.join = nn.Conv2d(fine + pose_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualConv(width) for _ in range(blocks)))
        self.out = zero_module(nn.Conv2d(width, channels // FOLD**2, 3, padding=1))

    def forward(self, output: Tensor, pose_fine: Tensor) -> Tensor:
        """(N, C + features, h, w) of the UNet, (N, P, 2h, 2w) of the pose -> prediction (N, C, h, w)."""
        fine = functional.pixel_shuffle(output, FOLD)  # (N, (C + features) / 4, 2h, 2w)
        fine = fine.contiguous(memory_format=torch.channels_last)
        hidden = self.join(torch.cat([fine, pose_fine.to(fine.dtype)], dim=1))  # (N, width, 2h, 2w)
        added = self.out(functional.silu(self.blocks(hidden)))  # (N, C / 4, 2h, 2w)
        return output[:, : self.channels] + functional.pixel_unshuffle(added, FOLD)  # (N, C, h, w)


# ----------------------------------------------------------------------------------------------- source tokens
class TokenProjector(nn.Module):
    """FPDM's source projector: Linear, GELU, Dropout, LayerNorm, Linear, Dropout."""

    def __init__(self, in_dim: int, hidden: int, out_dim: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(in_dim, hidden), nn.GELU(), nn.Dropout(dropout),
            nn.LayerNorm(hidden), nn.Linear(hidden, out_dim), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, in_dim) -> (B, L, out_dim)."""
        return self.net(tokens)  # (B, L, out_dim)


def position_table(height: int, width: int, dim: int) -> Tensor:
    """Fixed 2-D sine-cosine positions (height*width, dim), row by row: half of the channels y, half x."""
    quarter = dim // 4
    rates = torch.exp(torch.arange(quarter, dtype=torch.float32) * (-math.log(10000.0) / max(quarter, 1)))  # (D/4,)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")  # (h, w)
    angles = torch.stack([rows.flatten(), columns.flatten()], dim=-1)[..., None] * rates  # (hw, 2, D/4)
    table = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (hw, 4 * (D/4))
    return functional.pad(table, (0, dim - table.shape[1]))


class PatchTokens(nn.Module):
    """IMAGPose's patch embedding of VAE latents: one convolution with kernel = stride = ``patch``.

    A remainder of the size that does not fill a patch is dropped, as in the release.
    """

    def __init__(self, channels: int, patch: int, dim: int, positions: bool = False) -> None:
        super().__init__()
        self.positions = positions
        self.proj = nn.Conv2d(channels, dim, patch, stride=patch)

    def forward(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, (h//patch)*(w//patch), dim), row by row."""
        grid = self.proj(latents)  # (B, D, h', w')
        tokens = rearrange(grid, "b d h w -> b (h w) d")  # (B, L, D)
        if not self.positions:
            return tokens
        _, dim, height, width = grid.shape
        return tokens + position_table(height, width, dim).to(tokens)  # (B, L, D)


class SourceEncoder(nn.Module):
    """The feature-level condition (FLC): semantic tokens of the source and patch tokens of its latents, concatenated.

    Args:
        dim: token width D = the denoiser's cross-attention width.
        semantic_dim: width of the image encoder's tokens (DINOv2-L 1024); None = no semantic tokens.
        hidden: hidden width of FPDM's projector; None = tokens pass as they are (IMAGPose, needs width ``dim``).
        latent_channels: channels of the latents (and of anything stacked on them) for patch tokens.
        patch: side of a patch in latents (IMAGPose 16); None = no patch tokens (FPDM).
        positions: add fixed 2-D positions to the patch tokens (the papers: no).
        dropout: of the projector.
    """

    def __init__(
        self,
        dim: int,
        semantic_dim: int | None = None,
        hidden: int | None = 768,
        latent_channels: int = 4,
        patch: int | None = None,
        positions: bool = False,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.semantic: nn.Module | None = None
        if semantic_dim is not None:
            self.semantic = TokenProjector(semantic_dim, hidden, dim, dropout) if hidden else nn.Identity()
        self.patch = PatchTokens(latent_channels, patch, dim, positions) if patch else None

    def forward(self, semantic: Tensor | None = None, latents: Tensor | None = None) -> Tensor:
        """semantic (B, L1, Ds) and latents (B, C, h, w), as many as were configured -> (B, L1+L2, D)."""
        parts = []
        for name, module, given in (("semantic tokens", self.semantic, semantic), ("latents", self.patch, latents)):
            if (module is None) != (given is None):
                wanted = "does not take" if module is None else "needs"
                raise Mismatch("source encoder", f"{wanted} {name}", "give what its configuration names")
            if module is not None:
                parts.append(module(given))
        if not parts:
            raise Missing("source encoder", "neither semantic_dim nor patch is set", "set at least one of them")
        return torch.cat(parts, dim=1)  # (B, L, D)


# ----------------------------------------------------------------------------------- image-level condition (ILC)
def draw_mask_bits(count: int, views: int, generator: torch.Generator | None = None) -> Tensor:
    """IMAGPose's training masks, bool (count, V): uniform over all patterns but all-known and all-unknown."""
    if views < 2:
        raise BadValue("views", f"got {views}", "training masks need at least 2 views")
    device = generator.device if generator is not None else torch.device("cpu")
    codes = torch.randint(1, 2**views - 1, (count,), generator=generator, device=device)  # (count,)
    return (codes[:, None] >> torch.arange(views - 1, -1, -1, device=device)) & 1 == 1  # (count, V)


def blacken_unknown(images: Tensor, bits: Tensor, black: float = -1.0) -> Tensor:
    """IMAGPose's masked image: views (B, V, 3, H, W) whose bit (B, V) is 0 become black."""
    return torch.where(bits[..., None, None, None], images, torch.full_like(images, black))  # (B, V, 3, H, W)


class ImageLevel(nn.Module):
    """The image-level condition: input channels [noisy C, known flag 1, known latents C].

    Args:
        fill: what the known channels of a view to be generated hold: ``zeros``, or the latents of the ``source``.
            The flag is 0 there in both cases.
    """

    def __init__(self, fill: str = "zeros") -> None:
        super().__init__()
        if fill not in FILLS:
            raise BadValue("fill", f"got {fill!r}", f"choose from {', '.join(FILLS)}")
        self.fill = fill

    def known_views(self, latents: Tensor, bits: Tensor, source: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Clean latents (B, V, C, h, w), bits (B, V), source (B, C, h, w) -> known (B*V, C, h, w), flag (B*V, 1, h, w).

        Latents of views whose bit is 0 are never read, so they may hold the truth in training.
        """
        if self.fill == "source" and source is None:
            raise Missing("known views", "no source latents", "this model fills unknown views with the source")
        blank = torch.zeros_like(latents)
        if self.fill == "source" and source is not None:
            blank = source[:, None].expand_as(latents)  # (B, V, C, h, w)
        where = bits.to(latents.device, torch.bool)[..., None, None, None]  # (B, V, 1, 1, 1)
        known = torch.where(where, latents, blank)  # (B, V, C, h, w)
        flag = where.expand(*latents.shape[:2], 1, *latents.shape[-2:]).to(latents.dtype)  # (B, V, 1, h, w)
        return known.flatten(0, 1), flag.flatten(0, 1)  # (B*V, C, h, w), (B*V, 1, h, w)

    def forward(self, noisy: Tensor, known: Tensor | None = None, flag: Tensor | None = None) -> Tensor:
        """noisy (N, C, h, w), known (N, C, h, w), flag (N, 1, h, w) -> (N, 2C+1, h, w); None = nothing is known."""
        if (known is None) != (flag is None):
            raise Mismatch("known views", "only one of latents and flag", "give both or none")
        if known is None or flag is None:
            known, flag = torch.zeros_like(noisy), torch.zeros_like(noisy[:, :1])
        return torch.cat([noisy, flag, known], dim=1)  # (N, 2C+1, h, w)
