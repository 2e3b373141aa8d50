"""One window: tensors in, frames out; loading and saving."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_pipeline import FRAME, make_pipeline, picture, save_pipeline

from signgen.errors import BadValue, Damaged, Mismatch, NotFound, Unsupported, Untrusted
from signgen.model import SignGenPipeline, choose_device, choose_dtype


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline()


@pytest.fixture(scope="module")
def source(pipeline):
    return pipeline.encode_source(picture())


def poses(count: int) -> np.ndarray:
    """Arbitrary pose images on the 48x56 canvas."""
    return np.random.default_rng(3).integers(0, 255, (count, 56, 48, 3), dtype=np.uint8)


def apart(a: np.ndarray, b: np.ndarray) -> int:
    """Largest difference in grey levels."""
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_frames_have_the_frame_size_and_latents_an_eighth_of_the_canvas(pipeline, source):
    out = pipeline(source, poses(3), [0, 1, 2])
    assert out.frames.shape == (3, FRAME[1], FRAME[0], 3)
    assert out.frames.dtype == np.uint8
    assert out.latents.shape == (3, 16, 7, 6)
    assert pipeline.canvas_size == (48, 56)


def test_evaluations_count_views_steps_and_branches(pipeline, source):
    latents = list(torch.zeros(2, 16, 7, 6))
    assert pipeline(source, poses(3), [0, 1, 2]).evaluations == 4
    assert pipeline(source, poses(3), [2], latents, num_inference_steps=3, guidance_scale=(2, 2)).evaluations == 24
    assert pipeline(source, poses(1), [2], num_inference_steps=1, guidance_scale=(2, 3)).evaluations == 6


def test_the_same_seed_gives_the_same_frames_and_another_seed_others(pipeline, source):
    first, again, other = (pipeline(source, poses(2), [0, 1], seed=seed).frames for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_noise_follows_the_frame_and_not_its_place_in_the_window():
    pipeline = make_pipeline(cross_view=None)
    source = pipeline.encode_source(picture())
    together = pipeline(source, poses(3), [4, 5, 6]).frames
    alone = pipeline(source, poses(3)[2:], [6]).frames
    assert apart(together[2:], alone) <= 1


def test_views_see_each_other(pipeline, source):
    changed = poses(3)
    changed[0] = 0
    before, after = (pipeline(source, drawn, [0, 1, 2]).frames for drawn in (poses(3), changed))
    assert apart(before[2], after[2]) > 0


def test_known_frames_are_seen(pipeline, source):
    known = torch.randn(2, 16, 7, 6, generator=torch.Generator().manual_seed(1))
    with_one, with_other = (pipeline(source, poses(2), [1], [latent]).frames for latent in known)
    assert apart(with_one, with_other) > 0


def test_known_views_stay_what_they_are_through_all_steps(pipeline, source):
    """At every step the known views enter as their own noised latents, whatever the network said of them."""
    conditions = pipeline.window_conditions(source, poses(2), [torch.zeros(16, 7, 6)])
    assert conditions.bits.tolist() == [True, True, False]
    assert torch.equal(conditions.known[0], source.latents[0])
    assert conditions.flag[:, 0, 0, 0].tolist() == [1, 1, 0]
    seen = []
    hook = pipeline.denoiser.unet.conv_in.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    noise = torch.randn(3, 16, 7, 6)
    denoise = pipeline._guided_denoiser(conditions, noise, 1.0, 1.0)
    denoise(torch.full_like(noise, 100.0), torch.tensor(500))
    hook.remove()
    assert seen[0][:2, :16].abs().max() < 50
    assert (seen[0][2, :16] == 100).all()


def test_equal_guidance_weights_need_no_middle_branch(pipeline, source):
    """With w1 == w2 eq. 12 of FPDM loses its middle term; a hair's breadth off, all three are evaluated."""
    two = pipeline(source, poses(1), [0], guidance_scale=(2.0, 2.0))
    three = pipeline(source, poses(1), [0], guidance_scale=(2.0, 2.0 + 1e-6))
    assert (two.evaluations, three.evaluations) == (4, 6)
    assert apart(two.frames, three.frames) <= 1


def test_a_saved_pipeline_is_the_same(pipeline, source, tmp_path):
    pipeline.save_pretrained(tmp_path / "model")
    files = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert files == {".json", ".safetensors", ".md"}
    loaded = SignGenPipeline.from_pretrained(tmp_path / "model", dtype="float32", device="cpu")
    again = loaded(loaded.encode_source(picture()), poses(3), [0, 1, 2], num_inference_steps=2)
    assert apart(again.frames, pipeline(source, poses(3), [0, 1, 2], num_inference_steps=2).frames) <= 1
    assert loaded.frame_size == FRAME
    assert loaded.config.window == pipeline.config.window


def test_a_model_saved_by_signgen_0_1_still_loads(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "old")
    index = tmp_path / "old" / "model_index.json"
    saved, weights = index.read_text(), SignGenPipeline.from_pretrained(tmp_path / "old").weights_sha256()
    assert saved.count("signgen.model.networks.") == 3
    index.write_text(saved.replace("signgen.model.networks.", "signgen.models."))
    assert SignGenPipeline.from_pretrained(tmp_path / "old").weights_sha256() == weights


def test_a_new_process_can_load_it(tmp_path):
    folder = save_pipeline(tmp_path / "model")
    code = f"from signgen import SignGenPipeline; SignGenPipeline.from_pretrained({str(folder)!r})"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_weights_hash_changes_with_the_weights_only(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "a")
    pipeline.save_pretrained(tmp_path / "b")
    a, b = (SignGenPipeline.from_pretrained(tmp_path / name) for name in "ab")
    other = make_pipeline()
    other.denoiser.unet.conv_out.bias.add_(1e-3)
    other.save_pretrained(tmp_path / "c")
    assert a.weights_sha256() == b.weights_sha256()
    assert SignGenPipeline.from_pretrained(tmp_path / "c").weights_sha256() != a.weights_sha256()


def test_bfloat16_is_close_to_float32(tmp_path):
    folder = save_pipeline(tmp_path / "model")
    both = [SignGenPipeline.from_pretrained(folder, dtype=dtype, device="cpu") for dtype in ("float32", "bfloat16")]
    a, b = (p(p.encode_source(picture()), poses(3), [0, 1, 2]).frames for p in both)
    assert np.abs(a.astype(int) - b.astype(int)).mean() < 2


@pytest.mark.parametrize("model", ["nothing-of-that-name", "stabilityai/stable-diffusion-2-1"])
def test_an_unknown_model_is_an_input_error_and_never_a_download(model):
    with pytest.raises(NotFound, match="no such model"):
        SignGenPipeline.from_pretrained(model)


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(Damaged, match="model_index"):
        SignGenPipeline.from_pretrained(tmp_path)


def test_a_folder_that_names_foreign_classes_is_refused(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "SignGenPipeline", "vae": ["os", "system"]}))
    with pytest.raises(Untrusted, match="names classes of os"):
        SignGenPipeline.from_pretrained(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    folder = save_pipeline(tmp_path / "model")
    (folder / "denoiser" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(Damaged, match="cannot be loaded"):
        SignGenPipeline.from_pretrained(folder)


def test_poses_must_match_the_frames(pipeline, source):
    with pytest.raises(Mismatch, match="^window:"):
        pipeline(source, poses(3), [0, 1])


def test_devices_and_dtypes():
    cpu = torch.device("cpu")
    assert choose_dtype("float16", torch.device("cuda")) is torch.float16
    with pytest.raises(Unsupported, match="^--dtype:"):
        choose_dtype("float16", cpu)
    assert choose_dtype("auto", cpu) in (torch.float32, torch.bfloat16)
    assert choose_device("cpu") == cpu
    with pytest.raises(BadValue, match="^--dtype:"):
        choose_dtype("int8", cpu)


@pytest.mark.parametrize(
    ("name", "units", "fast"),
    [
        ("Intel Xeon", {"avx512_bf16", "amx_bf16"}, True),
        ("Intel Xeon", {"avx512_bf16"}, False),
        ("AMD EPYC", {"avx512_bf16"}, True),
        ("AMD EPYC", set(), False),
    ],
)
def test_bfloat16_is_chosen_where_it_is_faster(name, units, fast, monkeypatch):
    abilities = {unit: unit in units for unit in ("avx512_bf16", "amx_bf16")} | {"cpu_name": name}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert choose_dtype("auto", torch.device("cpu")) is (torch.bfloat16 if fast else torch.float32)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_an_input_error():
    with pytest.raises(Unsupported, match="^--device:"):
        choose_device("cuda")
