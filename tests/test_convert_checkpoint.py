"""Released FPDM checkpoints become signgen folders: the same numbers, nothing run, nothing half-written."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from diffusers import AutoencoderKL
from golden_set import Golden
from safetensors.torch import load_file
from test_models_reference import prefixed, stage1_state, stage2_state
from tiny_base_weights import CLIP, DINO, VAE
from tiny_pipeline import picture, signing
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from signgen.cli import main
from signgen.model import SignGenPipeline
from signgen.model.fpdm_checkpoint import read_state, second_stage
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel
from signgen.rendering import render
from signgen.rendering.source import Source

SIZES = {"block_out_channels": (16, 16), "layers_per_block": 1, "attention": (True, False), "heads": (2, 2),
         "norm_groups": 4, "cross_attention_dim": 16, "fusion_dim": 8, "fusion_hidden": 8,
         "pose": {"block_out_channels": (4, 6, 8, 12)}, "source": {"semantic_dim": 12, "hidden": 9}}  # fmt: skip
OPTIONS = [
    "--heads", "2,2", "--norm-groups", "4", "--vae-norm-groups", "4", "--clip-heads", "2", "--encoder-heads", "2",
    "--frame-size", "42x52",
]  # fmt: skip
FRAME = (42, 52)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    made = {"denoiser": Denoiser(**SIZES), "vae": AutoencoderKL(**VAE), "fusion": FusionModel(CLIP)}
    return {**made, "encoder": Dinov2Model(Dinov2Config(**DINO))}


@pytest.fixture(scope="module")
def state(parts: dict[str, torch.nn.Module], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """A stage-2 checkpoint's tensors: every part under its prefix, the UNet twice."""
    folder = tmp_path_factory.mktemp("dino")
    parts["encoder"].save_pretrained(folder)
    inner = stage2_state(parts["denoiser"])
    return {
        **prefixed("sd_model", inner),
        **{key: value for key, value in inner.items() if key.startswith("unet.")},
        **prefixed("vae", parts["vae"].state_dict()),
        **prefixed("src_image_encoder", load_file(folder / "model.safetensors")),
        **prefixed("fusion_model", stage1_state(parts["fusion"])),
    }


def lightning(path: Path, state: dict[str, Tensor]) -> Path:
    """As Lightning writes it: with the trainer's options, as an object of a class that signgen does not know."""
    options = argparse.Namespace(lr=1e-4, widths=[1, 2], note={"a": 1})
    content = {"epoch": 3, "global_step": 7, "state_dict": state, "hyper_parameters": {"args": options}}
    torch.save(content, path)
    return path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["convert-checkpoint", *map(str, arguments)])
    return done.exit_code, done.stderr if done.exit_code else done.stdout


@torch.no_grad()
def test_a_stage_2_checkpoint_becomes_a_pipeline_that_renders(
    parts: dict[str, torch.nn.Module], state: dict[str, Tensor], tmp_path: Path
) -> None:
    code, words = run(lightning(tmp_path / "a.ckpt", state), tmp_path / "model", *OPTIONS)
    assert (code, words) == (0, f"{tmp_path / 'model'}: pipeline\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "model"]
    pipeline = SignGenPipeline.from_pretrained(tmp_path / "model", device="cpu", dtype="float32")
    images = torch.rand(1, 3, 28, 28)
    wanted = parts["encoder"].eval()(images).last_hidden_state
    torch.testing.assert_close(pipeline.image_encoder(images).last_hidden_state, wanted)
    for mine, theirs in ((pipeline.denoiser, parts["denoiser"]), (pipeline.vae, parts["vae"])):
        assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in mine.state_dict().items())
    assert (pipeline.scheduler.config.prediction_type, pipeline.config.pose_style) == ("v_prediction", "fpdm")
    assert (pipeline.config.steps, list(pipeline.config.guidance)) == (20, [2.0, 2.0])
    person = Source(picture(FRAME), signing(1, FRAME), "anna", "signer")
    result = render(signing(2, FRAME), person, pipeline, tmp_path / "out", steps=2)
    assert (result.frames, result.width, result.height) == (2, *FRAME)


@torch.no_grad()
def test_a_stage_1_checkpoint_becomes_a_fusion_model(parts: dict[str, torch.nn.Module], tmp_path: Path) -> None:
    path = lightning(tmp_path / "a.ckpt", stage1_state(parts["fusion"]))
    assert run(path, tmp_path / "model", "--clip-heads", "2") == (0, f"{tmp_path / 'model/fusion'}: fusion model\n")
    again = FusionModel.from_pretrained(tmp_path / "model" / "fusion").eval()
    source, pose = torch.rand(2, 1, 3, 32, 32)
    torch.testing.assert_close(again(source, pose), parts["fusion"].eval()(source, pose))


def test_the_released_names_and_numbers(golden: Path, state: dict[str, Tensor], tmp_path: Path) -> None:
    """Denoiser and autoencoder of the reference's own code, through a file and a folder."""
    unet, vae = Golden(golden, "fpdm_unet"), Golden(golden, "fpdm_vae")
    kept = {key: value for key, value in state.items() if key.startswith(("src_image_encoder.", "fusion_model."))}
    whole = {**kept, **prefixed("sd_model", unet.weights), **prefixed("vae", vae.weights)}
    again = read_state(lightning(tmp_path / "a.ckpt", whole))
    settings = unet.config["unet"]
    heads, groups = settings["attention_head_dim"], settings["norm_num_groups"]
    made = second_stage(again, tmp_path, heads, groups, vae.config["norm_num_groups"], 2, 2)
    given = {"pose_features": unet["full.in.pose_feat"], "tokens": unet["full.in.tokens"]}
    with torch.no_grad():
        seen = made["denoiser"].eval()(
            unet["full.in.latents"], unet["full.in.timestep"], fusion=unet["full.in.fusion"].squeeze(1), **given
        )
        unet.check("full.out.sample", seen)
        vae.check("out.mean", made["vae"].eval().encode(vae["in.image"]).latent_dist.mean)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sd_model.unet.conv_out.bias": torch.zeros(3), "unet.conv_out.bias": torch.zeros(3)},
         "other shape conv_out.bias (3,) for (4,)"),
        ({"vae.decoder.conv_in.bias": torch.zeros(1)}, "other shape decoder.conv_in.bias"),
        ({"fusion_model.combiner.output_layer.bias": torch.zeros(1)}, "other shape output.bias (1,) for (8,)"),
        ({"optimizer.x": torch.zeros(1)}, "has no use for optimizer.x"),
        ({"unet.conv_out.bias": torch.ones(4)}, "two copies differ in unet.conv_out.bias"),
    ],
)  # fmt: skip
def test_what_does_not_fit_ends_in_one_line(
    state: dict[str, Tensor], tmp_path: Path, change: dict[str, Tensor], words: str
) -> None:
    code, said = run(lightning(tmp_path / "a.ckpt", {**state, **change}), tmp_path / "model", *OPTIONS)
    assert code == 2
    assert words in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"], "nothing is left behind"


class Evil:
    """What runs when it is unpickled by a reader that runs things."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.place,))


def test_nothing_in_a_file_is_run(state: dict[str, Tensor], tmp_path: Path) -> None:
    content = {"state_dict": {"combiner.x": torch.zeros(1)}, "callbacks": Evil(tmp_path / "ran")}
    torch.save(content, tmp_path / "a.ckpt")
    code, _ = run(tmp_path / "a.ckpt", tmp_path / "model")
    assert code == 2
    (tmp_path / "b.ckpt").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    code, words = run(tmp_path / "b.ckpt", tmp_path / "model")
    assert (code, words.count("\n")) == (2, 1)
    assert not (tmp_path / "ran").exists()


def test_missing_files_and_targets_that_are_there(state: dict[str, Tensor], tmp_path: Path) -> None:
    assert "no such file" in run(tmp_path / "no.ckpt", tmp_path / "model")[1]
    (tmp_path / "model").mkdir()
    path = lightning(tmp_path / "a.ckpt", state)
    code, words = run(path, tmp_path / "model", *OPTIONS)
    assert (code, "is there already" in words) == (2, True)
    without = {key: value for key, value in state.items() if not key.startswith("vae.")}
    code, words = run(lightning(path, without), tmp_path / "other", *OPTIONS)
    assert (code, "has no vae" in words) == (2, True)
