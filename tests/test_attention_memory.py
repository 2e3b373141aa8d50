"""Keys and values that are kept, and attention that is left out, change no bit of what comes out."""

from __future__ import annotations

import pytest
import torch
from tiny_models import shake, tiny_denoiser, tiny_inputs
from tiny_pipeline import make_pipeline, picture

from signgen.model.networks.attention import ContextMemory
from signgen.model.networks.denoiser import Denoiser

CROSS_VIEW = {"heads": 4, "groups": 8, "attentions": 1, "ff_mult": 0}


def _denoiser(**changes: object) -> Denoiser:
    denoiser = tiny_denoiser(**changes)
    shake(denoiser)
    denoiser.set_attention("sdpa")
    return denoiser


def _projections(denoiser: Denoiser) -> list[int]:
    """A list that grows with every projection of a context to keys."""
    calls: list[int] = []
    for name, module in denoiser.unet.named_modules():
        if name.endswith("attn2.to_k"):
            module.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("changes", [{}, {"cross_view": CROSS_VIEW}])
def test_keys_and_values_are_computed_once_and_the_same(changes: dict[str, object]) -> None:
    denoiser, inputs, memory = _denoiser(**changes), tiny_inputs(), ContextMemory()
    inputs["tokens"] = inputs["tokens"][:1]
    with torch.inference_mode():
        wanted = denoiser(**inputs)
        calls = _projections(denoiser)
        first = denoiser(**inputs, memory=memory)
        layers = len(calls)
        again = denoiser(**inputs, memory=memory)
        assert len(calls) == layers > 0
        other = {**inputs, "tokens": inputs["tokens"] + 1}
        changed = denoiser(**other, memory=memory)
        assert len(calls) == 2 * layers, "other tokens have other keys"
        assert torch.equal(changed, denoiser(**other))
    assert torch.equal(first, wanted)
    assert torch.equal(again, wanted)


def test_a_null_branch_passes_its_cross_attention_by() -> None:
    denoiser = _denoiser()
    given = {name: value for name, value in tiny_inputs().items() if name in ("noisy", "timesteps")}
    zeros = torch.zeros(4, 7, denoiser.config.cross_attention_dim)
    with torch.inference_mode():
        wanted, calls = denoiser(**given, tokens=zeros), _projections(denoiser)
        assert torch.equal(denoiser(**given, memory=ContextMemory()), wanted)
        assert not calls
        assert torch.equal(denoiser(**given, memory=ContextMemory(skip_empty=False)), wanted)
        assert calls


def test_nothing_is_kept_while_gradients_are_wanted() -> None:
    denoiser, inputs, memory = _denoiser(), tiny_inputs(), ContextMemory()
    calls = _projections(denoiser)
    denoiser(**inputs, memory=memory).sum().backward()
    layers = len(calls)
    denoiser(**inputs, memory=memory).sum().backward()
    assert len(calls) == 2 * layers


def test_the_pipeline_keeps_them_for_a_whole_clip() -> None:
    pipeline = make_pipeline(cross_view=None, image_level=False)
    source = pipeline.encode_source(picture())
    poses = torch.randint(0, 255, (2, 56, 48, 3), generator=torch.Generator().manual_seed(0)).byte().numpy()
    options = {"num_inference_steps": 3, "guidance_scale": (2.0, 1.5), "seed": 1}
    calls = _projections(pipeline.denoiser)
    kept = [pipeline(source, poses, frame_indices=[i, i + 1], **options).frames for i in (0, 2)]
    layers = sum(name.endswith("attn2.to_k") for name, _ in pipeline.denoiser.unet.named_modules())
    assert len(calls) == layers
    pipeline.engine.memory = None
    plain = [pipeline(source, poses, frame_indices=[i, i + 1], **options).frames for i in (0, 2)]
    assert len(calls) == layers * (1 + 2 * 3 * 3), "each layer, then in two windows of three steps and branches"
    assert all((one == other).all() for one, other in zip(kept, plain, strict=True))
