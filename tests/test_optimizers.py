"""Muon for kernels beside AdamW for the rest: torch's own steps, whatever the kernels' memory looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_runs import curve, fusion_config, noise_cache

from signgen.errors import InputError
from signgen.training.config import OptimConfig
from signgen.training.optimizers import KernelMuon, check_whole, make_optimizer
from signgen.training.run import run_stage

LR, DECAY = 1e-2, 0.1


class Net(nn.Module):
    """A kernel of each kind, one too small for Muon, biases, a norm, and a table that is no layer's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.small = nn.Conv2d(20, 24, 3), nn.Conv2d(24, 3, 1)
        self.norm, self.linear = nn.BatchNorm2d(24), nn.Linear(24, 32)
        self.table = nn.Parameter(torch.randn(40, 32))


def network(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net()


def give_gradients(net: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in net.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)


def after(net: Net, optimizer: torch.optim.Optimizer, steps: int = 3) -> dict[str, Tensor]:
    for step in range(steps):
        give_gradients(net, step)
        optimizer.step()
    return {name: weight.detach().clone() for name, weight in net.named_parameters()}


def test_kernels_take_muons_steps_and_the_rest_adamws() -> None:
    net, twin = network(), network()
    found = after(net, KernelMuon(net, LR, DECAY))
    order = twin.conv.weight.detach().permute(0, 2, 3, 1).reshape(24, -1).clone().requires_grad_()
    muon = torch.optim.Muon([order, twin.linear.weight], lr=LR, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    kernels = {"conv.weight", "linear.weight"}
    rest = [weight for name, weight in twin.named_parameters() if name not in kernels]
    adamw = torch.optim.AdamW(rest, lr=LR, weight_decay=DECAY)
    for step in range(3):
        give_gradients(twin, step)
        order.grad = twin.conv.weight.grad.permute(0, 2, 3, 1).reshape(24, -1)
        muon.step()
        adamw.step()
    wanted = {name: weight.detach() for name, weight in twin.named_parameters()}
    wanted["conv.weight"] = order.detach().view(24, 3, 3, 20).permute(0, 3, 1, 2)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_the_memory_of_a_kernel_does_not_matter() -> None:
    """Channels last in memory is a matrix as it lies, which is stepped in place; else it is copied back."""
    plain, last = network(), network().to(memory_format=torch.channels_last)
    assert not plain.conv.weight.is_contiguous(memory_format=torch.channels_last)
    found = after(plain, KernelMuon(plain, LR, DECAY)), after(last, KernelMuon(last, LR, DECAY))
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], msg=name)


def test_a_step_is_as_long_in_all_directions() -> None:
    """A gradient with one strong direction: plain descent would go nowhere else. The scale is that of AdamW's steps."""
    net = nn.Linear(64, 32, bias=False)
    before = net.weight.detach().clone()
    strong = torch.linalg.svd(torch.randn(32, 64, generator=torch.Generator().manual_seed(0)), full_matrices=False)
    net.weight.grad = strong.U @ torch.diag(torch.logspace(0, -1, 32)) @ strong.Vh
    KernelMuon(net, LR, 0.0).step()
    moved = net.weight.detach() - before
    lengths = torch.linalg.svdvals(moved) / (LR * 0.2 * 64**0.5)
    assert 0.5 < float(lengths.min()) < float(lengths.max()) < 1.5
    assert float(moved.pow(2).mean().sqrt()) == pytest.approx(0.2 * LR, rel=0.3)


def test_the_learning_rate_is_that_of_the_groups() -> None:
    net, twin = network(), network()
    optimizer = KernelMuon(net, 1.0, DECAY)
    for group in optimizer.param_groups:
        group["lr"] = LR
    found, wanted = after(net, optimizer), after(twin, KernelMuon(twin, LR, DECAY))
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_a_stored_state_goes_on_as_if_never_stored(tmp_path: Path) -> None:
    net, twin = network(), network()
    whole = after(net, KernelMuon(net, LR, DECAY), 6)
    first = KernelMuon(twin, LR, DECAY)
    after(twin, first)
    torch.save(first.state_dict(), tmp_path / "state")
    second = KernelMuon(twin, LR, DECAY)
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for step in range(3, 6):
        give_gradients(twin, step)
        second.step()
    for name, value in twin.named_parameters():
        torch.testing.assert_close(value.detach(), whole[name], msg=name)
    with pytest.raises(ValueError, match="not one of Muon with AdamW"):
        second.load_state_dict(torch.optim.AdamW(twin.parameters()).state_dict())


def test_what_does_not_learn_is_left_out() -> None:
    net = network()
    net.conv.requires_grad_(False)
    optimizer = make_optimizer(net, OptimConfig(kind="muon"))
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert held == {id(weight) for weight in net.parameters() if weight.requires_grad}


def test_a_run_with_muon_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    data = noise_cache(tmp_path / "data")
    muon = {"kind": "muon"}
    run_stage(fusion_config(data, tmp_path / "whole", optim=muon))
    run_stage(fusion_config(data, tmp_path / "parts", optim=muon, steps=3))
    run_stage(fusion_config(data, tmp_path / "parts", optim=muon), resume=True)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    run_stage(fusion_config(data, tmp_path / "adamw"))
    assert curve(tmp_path / "adamw")[-1] != curve(tmp_path / "whole")[-1]


@pytest.mark.parametrize(("before", "after"), [("adamw", "muon"), ("muon", "adamw")])
def test_a_run_does_not_go_on_with_another_optimizer(tmp_path: Path, before: str, after: str) -> None:
    data = noise_cache(tmp_path / "data")
    run_stage(fusion_config(data, tmp_path / "run", optim={"kind": before}, steps=2))
    with pytest.raises(InputError, match=f"optim.kind: got {after}, the run in .* is one of {before}; set it to"):
        run_stage(fusion_config(data, tmp_path / "run", optim={"kind": after}, steps=3), resume=True)
    assert len(curve(tmp_path / "run")) == 2


def test_kinds_that_do_not_exist_and_shards_are_refused() -> None:
    with pytest.raises(InputError, match="optim.kind: got 'sgd'; it is one of adamw, muon"):
        OptimConfig(kind="sgd")
    check_whole(OptimConfig(kind="adamw"), sharded=True)
    check_whole(OptimConfig(kind="muon"), sharded=False)
    with pytest.raises(InputError, match="optim.kind: got muon with weights in shards; take adamw"):
        check_whole(OptimConfig(kind="muon"), sharded=True)
