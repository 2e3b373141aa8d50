"""Affine norms stand in for group norms, and a detail head adds to a denoiser without changing it at first."""

from __future__ import annotations

import pytest
import torch
from tiny_models import CROSS_VIEW, TINY, shake, tiny_denoiser, tiny_inputs
from torch import nn

from signgen.errors import BadValue, InputError, Mismatch, Missing
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.norms import ChannelAffine, mean_effect, use_affine_norms
from signgen.training.starts import grow

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
FINE_POSE = {**TINY["pose"], "fine": 4}
DETAIL = {"features": 8, "width": 8, "blocks": 1}


def _run(model: Denoiser, **changes: object) -> torch.Tensor:
    with torch.no_grad():
        return model(**(tiny_inputs() | changes))


def test_mean_effect_is_exact_where_statistics_do_not_move() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.GroupNorm(2, 6), nn.Conv2d(6, 6, 1), nn.GroupNorm(3, 6))
    shake(network)
    frame = torch.randn(1, 6, 5, 4)
    wanted = network(frame)
    state = mean_effect(network, lambda: network(frame))
    use_affine_norms(network)
    assert [type(part) for part in network] == [ChannelAffine, nn.Conv2d, ChannelAffine]
    assert not torch.allclose(network(frame), wanted, atol=1e-3)
    network.load_state_dict(network.state_dict() | state)
    assert torch.allclose(network(frame), wanted, atol=1e-5)


def test_mean_effect_names_a_norm_that_was_not_run() -> None:
    network = nn.ModuleList([nn.GroupNorm(2, 4), nn.GroupNorm(2, 4)])
    with pytest.raises(Missing, match="^norms:"):
        mean_effect(network, lambda: network[0](torch.randn(1, 4, 3, 3)))


def test_a_denoiser_of_affine_norms_has_no_group_norm_and_reads_crops_like_frames() -> None:
    model = tiny_denoiser(norms="affine", source={"patch": 2}, attention=(False, False))
    assert not any(isinstance(part, nn.GroupNorm) for part in model.unet.down_blocks.modules())
    norms = [part for part in model.unet.down_blocks.modules() if isinstance(part, ChannelAffine)]
    narrow, wide = torch.randn(2, 16, 4, 4), torch.randn(2, 16, 4, 9)
    wide[..., :4] = narrow
    assert torch.equal(norms[0](wide)[..., :4], norms[0](narrow))


def test_growing_keeps_what_the_denoiser_does() -> None:
    known = tiny_denoiser(cross_view=CROSS_VIEW)
    shake(known)
    grown = grow(known, {"detail": DETAIL, "pose": FINE_POSE}, lambda model: None).eval()
    assert torch.allclose(_run(grown, views=2), _run(known, views=2), atol=1e-6)
    shake(grown.detail_head)
    assert not torch.allclose(_run(grown, views=2), _run(known, views=2), atol=1e-3)
    # The finer pose features take part: without the pose they are zeros, which the head sees.
    assert _run(grown, pose=None).shape == _run(known).shape


def test_growing_into_affine_norms_stays_near() -> None:
    known = tiny_denoiser(cross_view=CROSS_VIEW)
    shake(known, 0.05)
    inputs = tiny_inputs(4, 24, 20) | {"timesteps": torch.full((4,), 999)}  # large frames: their statistics agree

    def run(model: Denoiser) -> None:
        with torch.no_grad():
            model(**inputs)

    before = _run(known, **inputs)
    grown = grow(known, {"norms": "affine"}, run).eval()
    without = tiny_denoiser(cross_view=CROSS_VIEW, norms="affine")
    without.load_state_dict(known.state_dict())  # the norms' own scale and shift, not what they do to these features
    near, far = ((_run(model, **inputs) - before).square().mean() for model in (grown, without))
    assert near < 0.2 * far


def test_growing_refuses_other_widths() -> None:
    with pytest.raises(InputError) as error:
        grow(tiny_denoiser(), {"cross_attention_dim": 12}, lambda model: None)
    assert "weight" in error.value.subject


def test_what_reads_another_fusion_models_embedding_begins_again() -> None:
    known = tiny_denoiser()
    shake(known, 0.05)
    grown = grow(known, {"fusion_dim": known.config.fusion_dim + 4}, lambda model: None)
    reader = grown.unet.class_embedding.net[0].weight
    assert reader.shape[1] == known.config.fusion_dim + 4
    before = known.state_dict()
    same = {name for name, value in grown.state_dict().items() if name in before and torch.equal(value, before[name])}
    assert {name for name in before if name not in same} <= {
        name for name in before if name.startswith("unet.class_embedding.")
    }


def test_detail_and_fine_pose_features_come_together() -> None:
    with pytest.raises(BadValue, match="^denoiser:"):
        tiny_denoiser(detail=DETAIL)
    with pytest.raises(BadValue, match="^denoiser:"):
        tiny_denoiser(pose=FINE_POSE)
    with pytest.raises(BadValue, match="^denoiser:"):
        tiny_denoiser(norms="batch")


def test_fine_features_show_where_in_a_cell_a_stroke_lies() -> None:
    model = tiny_denoiser(detail=DETAIL, pose=FINE_POSE)
    left, right = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    left[..., 8:16, 8:10], right[..., 8:16, 13:15] = 1, 1
    fine = [model.encode_pose(image)[:, 16:] for image in (left, right)]
    folded = [torch.nn.functional.pixel_shuffle(part, 2) for part in fine]  # (1, 4, 4, 4)
    change = (folded[0] - folded[1]).abs().amax(1)[0]
    assert change[2:, 2:].min() > 0
    assert change[0, 0] == 0
    with pytest.raises(Mismatch, match="^pose image:"):
        model.encode_pose(torch.zeros(1, 3, 12, 16))
