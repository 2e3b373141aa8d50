"""Convolutions by Winograd's filtering: the plain convolution's numbers, and the plain one where it must be."""

import copy

import pytest
import torch
from torch import nn

from signgen.model.networks.winograd import WinogradConv, use_winograd

SIZES = [(3, 21, 18), (2, 16, 24), (20, 3, 5), (1, 33, 27)]  # images, height, width: whole tiles, cut ones, small ones


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def both(inputs=64, outputs=72, bias=True):
    torch.manual_seed(0)
    plain = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias).requires_grad_(False)
    fast = copy.deepcopy(nn.Sequential(plain))
    use_winograd(fast)
    assert type(fast[0]) is WinogradConv
    return plain, fast[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bias", [True, False])
def test_numbers_are_those_of_the_plain_convolution(size, bias, threads):
    plain, fast = both(bias=bias)
    images = torch.randn(size[0], 64, *size[1:])
    with torch.inference_mode():
        made = fast(images)
        assert made.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(made, plain(images), atol=2e-4, rtol=0)
        assert not torch.equal(made, plain(images)), "the plain convolution was computed"
    assert torch.get_num_threads() == threads


def test_an_image_comes_out_the_same_whatever_is_beside_it(threads):
    _, fast = both()
    images = torch.randn(9, 64, 20, 20)
    with torch.inference_mode():
        assert torch.equal(fast(images)[7:8], fast(images[7:8]))


def test_filters_that_change_are_transformed_again():
    plain, fast = both()
    images = torch.randn(2, 64, 20, 20)
    with torch.inference_mode():
        fast(images)
    for conv in (plain, fast):
        conv.weight.mul_(-2)
    with torch.inference_mode():
        torch.testing.assert_close(fast(images), plain(images), atol=4e-4, rtol=0)


def test_training_tracing_and_other_numbers_take_the_plain_convolution():
    plain, fast = both()
    images = torch.randn(2, 64, 20, 20)
    assert torch.equal(fast(images), plain(images)), "with gradients"
    with torch.no_grad():
        traced = torch.jit.trace(fast, images, check_trace=False)
        other = torch.randn(3, 64, 24, 24)
        assert torch.equal(traced(other), plain(other))
        assert fast.to(torch.bfloat16)(images.bfloat16()).dtype == torch.bfloat16
        few = images[:1, :, :8, :8]
        assert torch.equal(both()[1](few), both()[0](few)), "too few tiles to gain by"


def test_only_convolutions_that_gain_are_changed():
    kept = [
        nn.Conv2d(64, 64, 1),
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode="replicate"),
        nn.Conv2d(64, 16, 3, padding=1),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2),
    ]
    network = nn.Sequential(*kept, nn.Conv2d(64, 64, 3, padding=1))
    names = list(network.state_dict())
    use_winograd(network)
    assert [type(part) is WinogradConv for part in network] == [False] * len(kept) + [True]
    assert list(network.state_dict()) == names
