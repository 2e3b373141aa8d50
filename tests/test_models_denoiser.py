"""What must hold for the denoiser at any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.models.attention_processor import Attention
from tiny_models import CHANNELS, CROSS_VIEW, FUSION_DIM, TOKEN_DIM, shake, tiny_denoiser, tiny_inputs
from torch import Tensor

from signgen.errors import BadValue, Mismatch
from signgen.model.networks.denoiser import ConditionDrop, Denoiser, draw_condition_dropout

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def run(model: Denoiser, **changes: object) -> Tensor:
    with torch.no_grad():
        return model(**(tiny_inputs() | changes))


def same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=2e-5)


def test_a_new_pose_encoder_changes_nothing() -> None:
    model = tiny_denoiser()
    assert torch.equal(run(model), run(model, pose=None))
    shake(model.pose_encoder)
    assert not same(run(model), run(model, pose=None))


def test_new_cross_view_attention_changes_nothing_at_any_window() -> None:
    plain, joined = tiny_denoiser(), tiny_denoiser(cross_view=CROSS_VIEW)
    names = {key.replace(".transformer.", "."): key for key in joined.state_dict()}
    joined.load_state_dict({names[key]: value for key, value in plain.state_dict().items()}, strict=False)
    for views in (1, 2, 4):
        assert same(run(joined, views=views), run(plain))
    shake(joined)
    assert not same(run(joined, views=4), run(joined, views=1))


@pytest.mark.parametrize("condition", ["pose", "tokens", "fusion"])
def test_a_condition_left_out_is_that_condition_dropped(condition: str) -> None:
    model = tiny_denoiser()
    shake(model)
    names = {"pose": "pose", "tokens": "source", "fusion": "fusion"}
    none = dict.fromkeys(ConditionDrop._fields, torch.zeros(4, dtype=torch.bool))
    dropped = ConditionDrop(**(none | {names[condition]: torch.ones(4, dtype=torch.bool)}))
    assert same(run(model, **{condition: None}), run(model, drop=dropped))
    assert not same(run(model), run(model, drop=dropped))
    assert torch.equal(run(model, drop=ConditionDrop(**none)), run(model))


def test_dropping_is_per_sample() -> None:
    model = tiny_denoiser()
    shake(model)
    mask = torch.tensor([True, False, True, False])
    out = run(model, drop=ConditionDrop(mask, mask, mask))
    assert same(out[~mask], run(model)[~mask])
    assert same(out[mask], run(model, pose=None, tokens=None, fusion=None)[mask])


def test_batch_equals_single() -> None:
    model = tiny_denoiser(cross_view=CROSS_VIEW)
    shake(model)
    with torch.no_grad():
        alone = [model(**{key: value[i : i + 1] for key, value in tiny_inputs().items()}) for i in range(4)]
    assert same(run(model), torch.cat(alone))


def test_windows_of_a_batch_do_not_see_each_other() -> None:
    model = tiny_denoiser(cross_view=CROSS_VIEW)
    shake(model)
    changed = tiny_inputs()["noisy"].clone()
    changed[2:] += 1.0
    assert same(run(model, views=2)[:2], run(model, views=2, noisy=changed)[:2])
    assert not same(run(model, views=4)[:2], run(model, views=4, noisy=changed)[:2])


def test_one_condition_for_all_views_is_repeated() -> None:
    model = tiny_denoiser()
    shake(model)
    tokens, fusion = tiny_inputs()["tokens"][:2], tiny_inputs()["fusion"][:2]
    repeated = run(model, tokens=tokens.repeat_interleave(2, dim=0), fusion=fusion.repeat_interleave(2, dim=0))
    assert torch.equal(run(model, tokens=tokens, fusion=fusion), repeated)


def test_precomputed_pose_features_are_the_pose() -> None:
    model = tiny_denoiser()
    shake(model)
    assert torch.equal(run(model), run(model, pose=None, pose_features=model.encode_pose(tiny_inputs()["pose"])))


@pytest.mark.parametrize("size", [(33, 27), (9, 7), (3, 2)])
def test_sizes_that_do_not_divide(size: tuple[int, int]) -> None:
    model = tiny_denoiser(cross_view=CROSS_VIEW)
    with torch.no_grad():
        assert model(**tiny_inputs(2, *size), views=2).shape == (2, CHANNELS, *size)


def test_known_views_enter_through_their_own_channels() -> None:
    model = tiny_denoiser(image_level=True)
    shake(model)
    latents = torch.randn(2, 2, CHANNELS, 6, 5)
    known, flag = model.known_input.known_views(latents, torch.tensor([[True, False], [True, False]]))
    assert torch.equal(run(model), run(model, known=torch.zeros_like(known), flag=torch.zeros_like(flag)))
    assert not same(run(model), run(model, known=known, flag=flag))
    with pytest.raises(Mismatch, match="^known views:"):
        run(tiny_denoiser(), known=known, flag=flag)


def test_save_and_load_are_identical(tmp_path: Path) -> None:
    model = tiny_denoiser(cross_view=CROSS_VIEW | {"levels": (1,), "mid": False}, image_level=True, source_pose=True)
    shake(model)
    model.save_pretrained(tmp_path)
    again = Denoiser.from_pretrained(tmp_path)
    assert [file.name for file in tmp_path.glob("*.safetensors")]
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())
    assert same(run(model, views=2), run(again.eval(), views=2))
    assert again.source_encoder.patch.proj.in_channels == CHANNELS + 16


def test_bfloat16_channels_last_stays_close() -> None:
    model = tiny_denoiser(cross_view=CROSS_VIEW, image_level=True)
    expected = run(model, views=4)
    model = model.bfloat16().to(memory_format=torch.channels_last)
    given = {key: value.bfloat16() if value.is_floating_point() else value for key, value in tiny_inputs().items()}
    given["noisy"] = given["noisy"].to(memory_format=torch.channels_last)
    with torch.no_grad():
        out = model(**given, views=4)
    assert out.dtype == torch.bfloat16
    assert (out.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_both_kinds_of_attention_agree() -> None:
    model = tiny_denoiser(cross_view=CROSS_VIEW)
    shake(model)
    model.set_attention("math")
    expected = run(model, views=2)
    model.set_attention("sdpa")
    assert same(run(model, views=2), expected)
    with pytest.raises(BadValue, match="^attention:"):
        model.set_attention("flash")


def test_a_window_s_tokens_are_projected_once() -> None:
    model = tiny_denoiser()
    shake(model)
    tokens = tiny_inputs()["tokens"][:2]
    projected: list[int] = []
    for attention in model.unet.modules():
        if isinstance(attention, Attention) and attention.is_cross_attention:
            attention.to_k.register_forward_hook(lambda layer, given, keys: projected.append(len(keys)))
    answers = []
    for kind, rows in (("math", 4), ("sdpa", 2)):
        model.set_attention(kind)
        projected.clear()
        answers.append(run(model, tokens=tokens, views=2))
        assert set(projected) == {rows}
    assert same(*answers)


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    grads = []
    for checkpointed in (False, True):
        model = tiny_denoiser(cross_view=CROSS_VIEW).train()
        shake(model)
        model.source_encoder.eval(), model.unet.class_embedding.eval()  # no dropout: two runs must match
        if checkpointed:
            model.enable_gradient_checkpointing()
        model(**tiny_inputs(), views=2).square().mean().backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.unet.parameters()]))
    torch.testing.assert_close(grads[0], grads[1], atol=1e-5, rtol=1e-4)


def test_every_parameter_learns() -> None:
    model = tiny_denoiser(cross_view=CROSS_VIEW, image_level=True, source_pose=True)
    shake(model)
    given = tiny_inputs()
    features = model.encode_pose(given.pop("pose"))
    given["tokens"] = model.encode_source(latents=torch.randn(2, CHANNELS, 6, 5), pose_features=features[:2])
    latents = torch.randn(2, 2, CHANNELS, 6, 5)
    known, flag = model.known_input.known_views(latents, torch.tensor([[True, False], [False, True]]))
    model(**given, pose_features=features, known=known, flag=flag, views=2).square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_dropout_rates_are_the_asked_ones() -> None:
    drop = draw_condition_dropout(40000, torch.Generator().manual_seed(3), rates=(0.2, 0.3, 0.1), joint_null=0.08)
    assert [round(mask.float().mean().item(), 2) for mask in drop] == pytest.approx([0.2, 0.3, 0.1], abs=0.011)
    alone = [(rate - 0.08) / 0.92 for rate in (0.2, 0.3, 0.1)]
    together = 0.08 + 0.92 * alone[0] * alone[1] * alone[2]
    assert (drop.pose & drop.source & drop.fusion).float().mean().item() == pytest.approx(together, abs=0.006)
    assert not any(mask.any() for mask in draw_condition_dropout(100, rates=(0, 0, 0), joint_null=0))
    with pytest.raises(BadValue, match="^condition dropout:"):
        draw_condition_dropout(4, rates=(0.1, 0.1, 0.1), joint_null=0.2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_numbers_of_the_cpu() -> None:
    model = tiny_denoiser(cross_view=CROSS_VIEW, image_level=True)
    shake(model)
    expected = run(model, views=2)
    drop = draw_condition_dropout(4, torch.Generator("cuda").manual_seed(0), (0, 0, 0), 0)
    given = {key: value.cuda() for key, value in tiny_inputs().items()}
    with torch.no_grad():
        out = model.cuda()(**given, views=2, drop=drop).cpu()
    torch.testing.assert_close(out, expected, atol=2e-2, rtol=2e-2)  # TF32


def test_wrong_inputs_say_what_is_wrong() -> None:
    model = tiny_denoiser()
    with pytest.raises(Mismatch, match="^pose image:"):
        run(model, pose=torch.rand(4, 3, 40, 40))
    with pytest.raises(Mismatch, match="^condition:"):
        run(model, tokens=torch.randn(3, 7, TOKEN_DIM))
    with pytest.raises(Mismatch, match="^fusion embedding:"):
        run(tiny_denoiser(fusion_dim=None), fusion=torch.randn(4, FUSION_DIM))
    with pytest.raises(BadValue, match="^denoiser:"):
        Denoiser(block_out_channels=(32, 64), attention=(True,))
    with pytest.raises(Mismatch, match="^source encoder:"):
        model.encode_source(latents=torch.zeros(1, CHANNELS, 6, 5), pose_features=torch.zeros(1, 16, 6, 5))
