"""Conditions: pose features, source tokens, known views and their masks."""

from __future__ import annotations

import pytest
import torch

from signgen.errors import BadValue, Mismatch, Missing
from signgen.model.networks import conditions
from signgen.model.networks.conditions import ImageLevel, PoseEncoder, SourceEncoder


@pytest.mark.parametrize("form", [
    {"block_out_channels": (4, 6, 8, 12)},
    {"block_out_channels": (4, 6, 8), "unshuffle": 2},
    {"block_out_channels": (4, 6), "unshuffle": 2, "coordinates": True},
    {"block_out_channels": (4, 6), "unshuffle": 8},
])  # fmt: skip
@pytest.mark.parametrize("size", [(260, 210), (264, 216), (64, 40)])
def test_features_have_latent_size_and_start_at_zero(form: dict, size: tuple[int, int]) -> None:
    encoder = PoseEncoder(16, **form)
    features = encoder(torch.rand(1, 3, *size))
    assert features.shape == (1, 16, -(-size[0] // 8), -(-size[1] // 8))
    assert not features.any()


def test_coordinates_of_a_crop_are_those_of_the_frame() -> None:
    frame = torch.zeros(1, 3, 16, 24)
    whole = conditions.frame_coordinates(frame)
    part = conditions.frame_coordinates(frame[..., 4:12, 6:18], torch.tensor([6 / 24, 4 / 16, 18 / 24, 12 / 16]))
    torch.testing.assert_close(part, whole[..., 4:12, 6:18])
    assert whole[0, 0, 0, 0] == pytest.approx(-1 + 1 / 24)
    folded = conditions.frame_coordinates(frame, side=2)
    torch.testing.assert_close(folded, torch.nn.functional.avg_pool2d(whole, 2))


def test_folding_keeps_every_pixel() -> None:
    images = torch.rand(2, 3, 5, 7)
    folded = conditions.fold(images, 2)
    assert folded.shape == (2, 12, 3, 4)
    assert folded.sum() == pytest.approx(images.sum().item(), rel=1e-5)
    last = conditions.fold(images.to(memory_format=torch.channels_last), 2)
    assert torch.equal(last, folded)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_pose_encoder_refuses_widths_that_miss_the_size() -> None:
    with pytest.raises(BadValue, match="^pose encoder:"):
        PoseEncoder(16, (8, 12), down=8)
    with pytest.raises(BadValue, match="^pose encoder:"):
        PoseEncoder(16, (8,), down=8, unshuffle=2)


def test_semantic_and_patch_tokens_are_concatenated() -> None:
    torch.manual_seed(0)
    both = SourceEncoder(12, semantic_dim=10, hidden=8, latent_channels=4, patch=2).eval()
    semantic, latents = torch.randn(2, 5, 10), torch.randn(2, 4, 6, 7)
    tokens = both(semantic, latents)
    assert tokens.shape == (2, 5 + 3 * 3, 12)
    assert torch.equal(tokens[:, :5], both.semantic(semantic))
    for wrong in ({"semantic": semantic}, {"latents": latents}, {}):
        with pytest.raises(Mismatch, match="^source encoder:"):
            both(**wrong)
    with pytest.raises(Mismatch, match="^source encoder:"):
        SourceEncoder(12, patch=2)(semantic, latents)


def test_positions_tell_patches_apart() -> None:
    same = torch.ones(1, 4, 6, 8)
    plain = conditions.PatchTokens(4, 2, 16)(same)[0]
    placed = conditions.PatchTokens(4, 2, 16, positions=True)(same)[0]
    assert torch.cdist(plain, plain).max() < 1e-4
    assert (torch.cdist(placed, placed) + torch.eye(12)).min() > 0.1
    assert conditions.position_table(2, 3, 10).shape == (6, 10)


def test_training_masks_are_uniform_over_the_allowed_patterns() -> None:
    bits = conditions.draw_mask_bits(14000, 4, torch.Generator().manual_seed(0))
    codes, counts = torch.unique(bits.int() @ torch.tensor([8, 4, 2, 1], dtype=torch.int32), return_counts=True)
    assert codes.tolist() == list(range(1, 15))
    assert counts.min() > 850
    assert counts.max() < 1150


@pytest.mark.parametrize("fill", ["zeros", "source"])
def test_truth_of_unknown_views_never_enters(fill: str) -> None:
    level, source = ImageLevel(fill), torch.randn(2, 4, 3, 5)
    latents, bits = torch.randn(2, 3, 4, 3, 5), torch.tensor([[1, 0, 0], [1, 1, 0]]).bool()
    known, flag = level.known_views(latents, bits, source)
    spoilt = torch.where(bits[..., None, None, None], latents, torch.full_like(latents, float("nan")))
    assert torch.equal(level.known_views(spoilt, bits, source)[0], known)
    known = known.view_as(latents)
    assert torch.equal(flag[:, 0, 0, 0].bool(), bits.flatten())
    assert torch.equal(known[bits], latents[bits])
    expected = source[:, None].expand_as(latents) if fill == "source" else torch.zeros_like(latents)
    assert torch.equal(known[~bits], expected[~bits])


def test_image_level_says_what_it_needs() -> None:
    with pytest.raises(BadValue, match="^fill:"):
        ImageLevel("black")
    with pytest.raises(Missing, match="^known views:"):
        ImageLevel("source").known_views(torch.zeros(1, 2, 4, 3, 3), torch.zeros(1, 2).bool())
    with pytest.raises(Mismatch, match="^known views:"):
        ImageLevel()(torch.zeros(1, 4, 3, 3), known=torch.zeros(1, 4, 3, 3))
