"""The fusion embedding: unit norm, whole pictures, one encoder, identical after saving."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from signgen.errors import NotFound
from signgen.model.networks.fusion import Combiner, FusionModel, letterbox

VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
          "image_size": 32, "patch_size": 8, "projection_dim": 12}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> FusionModel:
    torch.manual_seed(0)
    return FusionModel(VISION).eval()


@torch.no_grad()
def test_embeddings_have_unit_norm_and_ordered_inputs(model: FusionModel) -> None:
    source, pose = torch.rand(2, 3, 3, 26, 21) * 2 - 1
    fused = model(source, pose)
    torch.testing.assert_close(fused.norm(dim=-1), torch.ones(3))
    assert not torch.allclose(fused, model(pose, source), atol=1e-3)
    torch.testing.assert_close(
        model.fuse(model.encode(source[:1]), pose), model(source[:1].expand(3, -1, -1, -1), pose)
    )
    assert model.tokens(source).shape == (3, 17, 16)


@pytest.mark.parametrize(("size", "inner"), [((260, 210), (32, 26)), ((210, 260), (26, 32)), ((32, 32), (32, 32))])
def test_letterbox_keeps_aspect_and_crops_nothing(size: tuple[int, int], inner: tuple[int, int]) -> None:
    boxed = letterbox(torch.ones(1, 3, *size), 32)
    assert boxed.shape == (1, 3, 32, 32)
    filled = (boxed[0, 0] > 0.5).nonzero()
    assert (filled.amax(dim=0) - filled.amin(dim=0) + 1).tolist() == list(inner)


def test_dropout_acts_in_training_only() -> None:
    combiner, inputs = Combiner(12), torch.randn(2, 4, 12)
    assert not torch.equal(combiner(*inputs), combiner(*inputs))
    combiner.eval()
    assert torch.equal(combiner(*inputs), combiner(*inputs))


@torch.no_grad()
def test_save_and_load_are_identical(model: FusionModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    source, pose = torch.rand(2, 1, 3, 32, 32)
    again = FusionModel.from_pretrained(tmp_path).eval()
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())
    # Loaded weights may lie at other addresses, for which the matrix library may sum in another order.
    torch.testing.assert_close(again(source, pose), model(source, pose), atol=1e-6, rtol=1e-5)
    assert list(tmp_path.glob("*.safetensors"))


@torch.no_grad()
def test_encoder_from_a_clip_folder(tmp_path: Path) -> None:
    clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)).eval()
    clip.save_pretrained(tmp_path / "clip")
    built = FusionModel.from_clip(tmp_path / "clip").eval()
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(built.encode(images), clip(built._pixels(images)).image_embeds)
    with pytest.raises(NotFound, match="config.json"):
        FusionModel.from_clip(tmp_path)
