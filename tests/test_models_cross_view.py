"""Cross-view attention: zero at the start, equivariant to view order without positions, local to a place."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from tiny_models import shake

from signgen.errors import BadValue, Mismatch
from signgen.model.networks.cross_view import CrossViewAttention, CrossViewTransformer, view_positions


def make(**changes: object) -> CrossViewAttention:
    torch.manual_seed(0)
    return CrossViewAttention(16, **({"heads": 4, "groups": 8} | changes)).eval()


def test_new_module_is_the_identity() -> None:
    hidden = torch.randn(6, 16, 3, 2)
    assert torch.equal(make()(hidden, 3), hidden)


@torch.no_grad()
def test_order_of_views_matters_only_with_positions() -> None:
    hidden, order = torch.randn(5, 16, 3, 2), torch.tensor([3, 0, 4, 1, 2])
    for positions in (False, True):
        module = make(positions=positions)
        shake(module)
        equal = torch.allclose(module(hidden, 5)[order], module(hidden[order], 5), atol=1e-5)
        assert equal is not positions


@torch.no_grad()
def test_only_the_same_place_of_other_views_counts() -> None:
    module, hidden = make(), torch.randn(4, 16, 3, 2)
    shake(module)
    module.norm = torch.nn.Identity()  # the group norm alone ties places together
    changed = hidden.clone()
    changed[1, :, 2, 1] += 1.0
    moved = (module(hidden, 4) - module(changed, 4)).abs().amax(dim=1) > 1e-6  # (V, H, W)
    assert moved[:, 2, 1].all()
    assert moved.sum() == 4


@torch.no_grad()
def test_memory_format_does_not_change_numbers() -> None:
    module, hidden = make(), torch.randn(4, 16, 3, 5)
    shake(module)
    last = module(hidden.to(memory_format=torch.channels_last), 2)
    assert torch.allclose(last, module(hidden, 2), atol=1e-6)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_cheap_form_has_fewer_parameters() -> None:
    count = [sum(p.numel() for p in make(**form).parameters()) for form in ({}, {"attentions": 1, "ff_mult": 0})]
    assert count[1] < count[0] / 2


def test_windows_are_checked() -> None:
    module = make(max_views=4)
    for items, views in ((6, 4), (8, 8), (4, 0)):
        with pytest.raises(Mismatch, match="^views:"):
            module(torch.zeros(items, 16, 2, 2), views)
    with pytest.raises(BadValue, match="^cross-view attention:"):
        CrossViewAttention(30, heads=8, groups=6)


def test_positions_of_a_shorter_window_are_the_first_ones() -> None:
    assert torch.equal(view_positions(8, 16)[:3], view_positions(3, 16))
    assert view_positions(1, 16)[0].tolist() == [0.0, 1.0] * 8


@torch.no_grad()
def test_wrapper_returns_what_the_block_returns() -> None:
    torch.manual_seed(0)
    block = Transformer2DModel(2, 8, in_channels=16, norm_num_groups=8, cross_attention_dim=6).eval()
    wrapper = CrossViewTransformer(block, make())
    hidden, context, options = torch.randn(4, 16, 3, 2), torch.randn(4, 5, 6), {"views": 2}
    given = {"encoder_hidden_states": context, "cross_attention_kwargs": options}
    expected = block(hidden, encoder_hidden_states=context).sample
    assert torch.equal(wrapper(hidden, **given).sample, expected)
    assert torch.equal(wrapper(hidden, **given, return_dict=False)[0], expected)
    assert options == {"views": 2}


@torch.no_grad()
def test_joint_attention_is_plain_attention_over_all_places_of_all_views() -> None:
    module, hidden = make(attention="joint", attentions=1, ff_mult=0), torch.randn(6, 16, 3, 2)
    shake(module)
    block = module.blocks[0]
    attention = block.attentions[0]
    moved = module(hidden, 3) - hidden
    for window in range(2):
        tokens = module.norm(hidden[3 * window : 3 * window + 3]).flatten(2).transpose(1, 2)  # (V, HW, C)
        tokens = module.proj_in(tokens)
        seen = block.norms[0](tokens) + view_positions(3, 16)[:, None]
        flat = seen.reshape(18, 16)
        heads = []
        for head in range(4):
            part = slice(4 * head, 4 * head + 4)
            query, key, value = (
                flat @ layer.weight[part].T for layer in (attention.to_q, attention.to_k, attention.to_v)
            )
            heads.append(torch.softmax(query @ key.T / 2, 1) @ value)
        looked = attention.to_out[0](torch.cat(heads, 1)).reshape(3, 6, 16)
        wanted = module.proj_out(tokens + looked).transpose(1, 2).reshape(3, 16, 3, 2)
        torch.testing.assert_close(moved[3 * window : 3 * window + 3], wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_joint_attention_sees_another_place_and_no_absent_view() -> None:
    module, hidden = make(attention="joint"), torch.randn(4, 16, 3, 2)
    shake(module)
    module.norm = torch.nn.Identity()
    changed = hidden.clone()
    changed[1, :, 2, 1] += 1.0
    moved = (module(hidden, 4) - module(changed, 4)).abs().amax(dim=1)
    assert (moved > 1e-6).all()
    there = torch.tensor([1.0, 1.0, 1.0, 0.0])
    torch.testing.assert_close(module(hidden, 4, there)[:3], module(hidden[:3], 3), atol=1e-5, rtol=1e-5)


def test_joint_attention_has_the_weights_of_the_other() -> None:
    joint = make(attention="joint")
    joint.load_state_dict(make().state_dict())
    with pytest.raises(BadValue, match=r"^cross_view.attention: got 'all'; choose from place, joint"):
        make(attention="all")
