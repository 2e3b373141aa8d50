"""CLIP's image encoder: the same parameters and numbers as transformers', without transformers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from signgen.errors import BadValue
from signgen.model.networks.vision import ImageTower, VisionSettings

SMALL = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
         "image_size": 32, "patch_size": 8, "projection_dim": 12}  # fmt: skip


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@torch.no_grad()
def test_the_numbers_are_those_of_transformers(activation: str) -> None:
    torch.manual_seed(0)
    settings = {**SMALL, "hidden_act": activation}
    theirs = CLIPVisionModelWithProjection(CLIPVisionConfig(**settings)).eval()
    for parameter in theirs.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))  # biases and norms start at 0 and 1
    ours = ImageTower(VisionSettings.of(settings)).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 32, 32)
    expected, found = theirs(images), ours(images)
    torch.testing.assert_close(found.image_embeds, expected.image_embeds)
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state)


def test_defaults_are_those_of_transformers() -> None:
    theirs = CLIPVisionConfig().to_dict()
    assert VisionSettings.of(theirs) == VisionSettings()


@pytest.mark.parametrize("wrong", [{"hidden_act": "tanh"}, {"num_attention_heads": 5}])
def test_settings_that_cannot_be_built_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadValue, match="^vision:"):
        VisionSettings.of({**SMALL, **wrong})


def test_it_needs_no_transformers() -> None:
    code = "import sys, signgen.model.networks.vision; assert not {'transformers', 'diffusers'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
