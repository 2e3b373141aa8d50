"""The pipeline in the hands of diffusers' own tools: schedulers, callbacks, offloading, dtypes, xformers, the hub."""

from __future__ import annotations

import json
import shutil
import sys
from types import ModuleType, SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from huggingface_hub import ModelCard
from tiny_pipeline import make_pipeline, picture, save_pipeline, signing

from signgen import render
from signgen.commands.render import command
from signgen.errors import BadValue, InputError
from signgen.model import SignGenPipeline
from signgen.model.diffusion.guidance import RULES
from signgen.model.schedulers import noised
from signgen.rendering.settings import GUIDANCE_RULES, SCHEDULERS, RenderSettings
from signgen.rendering.source import Source
from signgen.video import read_frames

SOLVERS = ("DDPMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "EulerDiscreteScheduler")


@pytest.fixture
def pipeline() -> SignGenPipeline:
    return make_pipeline()


def poses(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 255, (count, 56, 48, 3), dtype=np.uint8)


def swapped(pipeline: SignGenPipeline, name: str, **changes: object) -> SignGenPipeline:
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, **changes)
    return pipeline


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference in grey levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


# --- schedulers -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SOLVERS)
def test_schedulers_can_be_swapped_and_swapped_back(pipeline, name):
    """Other solvers give other frames of the same kind, the same ones again, and leave nothing behind."""
    source, own = pipeline.encode_source(picture()), pipeline.scheduler
    with_own = pipeline(source, poses(2), [0, 1], num_inference_steps=6).latents
    swapped(pipeline, name)
    first, again = (pipeline(source, poses(2), [0, 1], num_inference_steps=6).latents for _ in range(2))
    assert torch.isfinite(first).all()
    assert torch.equal(first, again)
    assert not torch.equal(first, with_own)
    pipeline.scheduler = own
    assert torch.equal(pipeline(source, poses(2), [0, 1], num_inference_steps=6).latents, with_own)


@pytest.mark.parametrize(
    ("name", "changes"), [("EulerDiscreteScheduler", {}), ("DPMSolverMultistepScheduler", {"solver_order": 1})]
)
@pytest.mark.parametrize("steps", [1, 4])
def test_two_ways_to_write_ddim_agree_with_it(pipeline, name, changes, steps):
    """Euler's step in sigmas and DPM-Solver's first order are DDIM's step (Lu et al. 2022, sec. 4.1).

    They replace zero signal at the last timestep by very little, so they agree but for that, where the steps divide
    the timesteps: elsewhere diffusers' DDIM rounds its stride.
    """
    source = pipeline.encode_source(picture())
    own = pipeline(source, poses(2), [0, 1], num_inference_steps=steps).latents
    swapped(pipeline, name, **changes)
    other = pipeline(source, poses(2), [0, 1], num_inference_steps=steps).latents
    assert float((other - own).norm() / own.norm()) < 1e-3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda config: diffusers.DDIMScheduler(), "prediction_type epsilon, the model v_prediction"),
        (lambda config: diffusers.DDIMScheduler.from_config(config, beta_end=0.02), "beta_end"),
        (lambda config: diffusers.FlowMatchEulerDiscreteScheduler(), "has no betas"),
        (lambda config: diffusers.EulerAncestralDiscreteScheduler.from_config(config), "draws its own noise"),
    ],
)
def test_a_scheduler_that_the_weights_do_not_go_with_is_refused(pipeline, make, words):
    source = pipeline.encode_source(picture())
    pipeline.scheduler = make(pipeline.scheduler.config)
    with pytest.raises(InputError, match=words):
        pipeline(source, poses(1), [0])


def test_known_views_are_noised_between_whole_timesteps(pipeline):
    scheduler = pipeline.scheduler
    clean, noise = torch.randn(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    below, above = (noised(scheduler, clean, noise, torch.tensor(t)) for t in (500, 501))
    assert torch.allclose(noised(scheduler, clean, noise, torch.tensor(500.0)), below)
    between = noised(scheduler, clean, noise, torch.tensor(500.5))
    assert float((between - (below + above) / 2).abs().max()) < 1e-4
    assert not torch.equal(below, above)


# --- callbacks ------------------------------------------------------------------------------------------------
def test_a_callback_sees_every_step_and_its_latents_are_gone_on_with(pipeline):
    source, seen = pipeline.encode_source(picture()), []

    def look(pipe, step, timestep, tensors):
        seen.append((step, int(timestep), pipe.num_timesteps))
        return tensors

    plain = pipeline(source, poses(1), [0], num_inference_steps=4)
    watched = pipeline(source, poses(1), [0], num_inference_steps=4, callback_on_step_end=look)
    assert [step for step, _, _ in seen] == [0, 1, 2, 3]
    assert [t for _, t, _ in seen] == pipeline.scheduler.timesteps.tolist()
    assert torch.equal(plain.latents, watched.latents)

    def still(pipe, step, timestep, tensors):
        return {"latents": torch.full_like(tensors["latents"], 0.25)}

    held = pipeline(source, poses(1), [0], num_inference_steps=4, callback_on_step_end=still)
    assert (held.latents == 0.25).all()


def test_a_callback_can_stop_the_sampling(pipeline):
    source = pipeline.encode_source(picture())

    def stop(pipe, step, timestep, tensors):
        pipe._interrupt = step == 1

    stopped = pipeline(source, poses(1), [0], num_inference_steps=10, callback_on_step_end=stop)
    assert stopped.evaluations == 2 * 2  # two steps of two views
    assert pipeline(source, poses(1), [0], num_inference_steps=10).evaluations == 10 * 2


def test_diffusers_callback_classes_say_themselves_what_they_want(pipeline):
    class Halved(PipelineCallback):
        tensor_inputs = ["latents"]

        def callback_fn(self, pipeline, step_index, timestep, callback_kwargs):
            return {"latents": callback_kwargs["latents"] / 2}

    source = pipeline.encode_source(picture())
    plain = pipeline(source, poses(1), [0])
    both = MultiPipelineCallbacks([Halved(), Halved()])
    assert torch.allclose(pipeline(source, poses(1), [0], callback_on_step_end=both).latents, plain.latents / 4)
    with pytest.raises(BadValue, match="^callback_on_step_end_tensor_inputs:"):
        pipeline(source, poses(1), [0], callback_on_step_end_tensor_inputs=["prompt_embeds"])


# --- moving ---------------------------------------------------------------------------------------------------
def test_another_dtype_in_the_middle_meets_nothing_kept(pipeline):
    """The weights lose digits in bfloat16 and do not get them back: old keys would be those of other weights."""
    source = pipeline.encode_source(picture())
    pipeline(source, poses(2), [0, 1])
    pipeline.to(torch.bfloat16)
    assert pipeline.dtype == torch.bfloat16
    pipeline(source, poses(2), [0, 1])
    pipeline.to(torch.float32)
    there_and_back = pipeline(source, poses(2), [0, 1]).latents
    pipeline.forget()
    assert torch.equal(pipeline(source, poses(2), [0, 1]).latents, there_and_back)


def test_bfloat16_frames_are_close(pipeline):
    source = pipeline.encode_source(picture())
    plain = pipeline(source, poses(2), [0, 1]).frames
    assert apart(pipeline.to(torch.bfloat16)(source, poses(2), [0, 1]).frames, plain) < 2


def test_offloaded_parts_are_brought_for_their_own_work_only(pipeline):
    """The CPU stands in for the accelerator: the same hooks, the same order, but no memory is won here."""
    source = pipeline.encode_source(picture())
    plain = pipeline(source, poses(2), [0, 1])
    pipeline.enable_model_cpu_offload(device="cpu")
    told = []
    for name in ("vae", "denoiser", "fusion"):
        hook = next(hook for hook in pipeline._all_hooks if hook.model is getattr(pipeline, name))
        send = hook.offload
        hook.offload = lambda name=name, send=send: (told.append(name), send())
    again = pipeline.encode_source(picture())
    assert told[:2] == ["denoiser", "fusion"] or told[:2] == ["fusion", "denoiser"]
    assert "vae" in told
    assert torch.equal(again.tokens, source.tokens)
    rendered = pipeline(again, poses(2), [0, 1])
    assert apart(rendered.frames, plain.frames) == 0
    pipeline.remove_all_hooks()
    assert apart(pipeline(again, poses(2), [0, 1]).frames, plain.frames) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="offloading for real needs a CUDA device")
def test_offloading_to_a_real_accelerator(pipeline):
    plain = pipeline(pipeline.encode_source(picture()), poses(2), [0, 1])
    pipeline.enable_model_cpu_offload()
    source = pipeline.encode_source(picture())
    assert pipeline.device.type == "cuda"
    assert apart(pipeline(source, poses(2), [0, 1]).frames, plain.frames) < 1
    assert {next(part.parameters()).device.type for part in (pipeline.vae, pipeline.denoiser)} == {"cpu"}


# --- xformers -------------------------------------------------------------------------------------------------
def test_xformers_is_asked_for_all_attention(pipeline, monkeypatch):
    """A stand-in with xformers' own axes (N, L, H, d) and torch's arithmetic: axes and memory are tested, no kernel."""
    calls = []

    def attention(query, key, value, p=0.0, scale=None, *, op=None):
        calls.append((tuple(query.shape), op))
        turned = (part.transpose(1, 2) for part in (query, key, value))
        return torch.nn.functional.scaled_dot_product_attention(*turned, scale=scale).transpose(1, 2)

    ops = SimpleNamespace(memory_efficient_attention=attention)
    package = ModuleType("xformers")
    package.ops = ops
    monkeypatch.setitem(sys.modules, "xformers", package)
    monkeypatch.setitem(sys.modules, "xformers.ops", ops)
    source = pipeline.encode_source(picture())
    plain = pipeline(source, poses(3), [0, 1, 2], guidance_scale=(2.0, 2.0))
    pipeline.enable_xformers_memory_efficient_attention(attention_op="mine")
    other = pipeline(source, poses(3), [0, 1, 2], guidance_scale=(2.0, 2.0))
    assert calls
    assert {op for _, op in calls} == {"mine"}
    assert apart(other.frames, plain.frames) < 0.01
    pipeline.disable_xformers_memory_efficient_attention()
    count = len(calls)
    assert torch.equal(pipeline(source, poses(3), [0, 1, 2], guidance_scale=(2.0, 2.0)).latents, plain.latents)
    assert len(calls) == count


def test_without_xformers_the_install_command_is_given(pipeline, monkeypatch):
    monkeypatch.setitem(sys.modules, "xformers", None)
    monkeypatch.setitem(sys.modules, "xformers.ops", None)
    with pytest.raises(InputError, match="pip install xformers"):
        pipeline.enable_xformers_memory_efficient_attention()


# --- folders and the hub --------------------------------------------------------------------------------------
def test_the_folder_has_a_card_that_the_hub_reads(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "model")
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.to_dict()["library_name"] == "signgen"
    assert "| denoiser | Denoiser |" in card.text
    (tmp_path / "model" / "README.md").write_text("written by hand")
    pipeline.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == "written by hand"
    loaded = SignGenPipeline.from_pretrained(tmp_path / "model", device="cpu", dtype="float32")
    loaded.save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "README.md").read_text() == "written by hand"


@pytest.mark.parametrize("way", ["push_to_hub", "save_pretrained"])
def test_what_is_pushed_is_a_folder_that_loads(pipeline, tmp_path, monkeypatch, way):
    """The hub is a folder here: nothing leaves the machine."""
    asked = {}

    def create_repo(repo_id, **how):
        asked.update(how, repo_id=repo_id)
        return SimpleNamespace(repo_id=repo_id)

    def upload_folder(*, folder_path, repo_id, **how):
        shutil.copytree(folder_path, tmp_path / "hub")
        return f"https://hub/{repo_id}"

    monkeypatch.setattr("huggingface_hub.create_repo", create_repo)
    monkeypatch.setattr("diffusers.utils.hub_utils.upload_folder", upload_folder)
    if way == "push_to_hub":
        assert pipeline.push_to_hub("me/signer", private=True) == "https://hub/me/signer"
    else:
        pipeline.save_pretrained(tmp_path / "model", push_to_hub=True, repo_id="me/signer", private=True)
    assert (asked["repo_id"], asked["private"]) == ("me/signer", True)
    assert {path.suffix for path in (tmp_path / "hub").rglob("*") if path.is_file()} == {".json", ".safetensors", ".md"}
    loaded = SignGenPipeline.from_pretrained(tmp_path / "hub", device="cpu", dtype="float32")
    source = pipeline.encode_source(picture())
    assert apart(loaded(source, poses(1), [0]).frames, pipeline(source, poses(1), [0]).frames) == 0


def test_parts_go_into_another_pipeline(pipeline):
    other = SignGenPipeline(**pipeline.components, frame_size=pipeline.frame_size).prepared()
    source = pipeline.encode_source(picture())
    assert apart(other(source, poses(1), [0]).frames, pipeline(source, poses(1), [0]).frames) == 0


def test_diffusers_own_class_loads_it_with_a_line_of_code(tmp_path, monkeypatch):
    """Its index names a class that diffusers does not have; a custom pipeline file that imports signgen gives it."""
    monkeypatch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    folder = save_pipeline(tmp_path / "model")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "pipeline.py").write_text("from signgen.model import SignGenPipeline\n")
    code = str(tmp_path / "code" / "pipeline.py")
    loaded = diffusers.DiffusionPipeline.from_pretrained(str(folder), custom_pipeline=code, trust_remote_code=True)
    assert isinstance(loaded, SignGenPipeline)
    mine = SignGenPipeline.from_pretrained(folder, device="cpu", dtype="float32")
    source = mine.encode_source(picture())
    assert apart(loaded.prepared()(source, poses(1), [0]).frames, mine(source, poses(1), [0]).frames) == 0


@pytest.mark.parametrize("name", list(SCHEDULERS))
def test_a_render_takes_a_scheduler_by_name_and_gives_the_models_own_back(pipeline, tmp_path, name):
    person, own = Source(picture(), signing(1), "anna", "signer"), pipeline.scheduler
    options = {"steps": 3, "seed": 2}
    made = render(signing(3), person, pipeline, tmp_path / "named", scheduler=name, **options)
    assert pipeline.scheduler is own
    swapped(pipeline, SCHEDULERS[name])
    by_hand = render(signing(3), person, pipeline, tmp_path / "by_hand", **options)
    first, second = (np.stack(list(read_frames(one.output))) for one in (made, by_hand))
    assert np.array_equal(first, second)
    assert json.loads(made.manifest.read_text())["configuration"]["scheduler"] == name


def test_the_commands_names_are_those_of_the_settings():
    named = {option.name: option for option in command.params}
    assert set(named["scheduler"].type.choices) == set(SCHEDULERS)
    assert tuple(named["guidance_rule"].type.choices) == GUIDANCE_RULES == RULES
    for setting, words in (("scheduler", "--scheduler: got 'lcm'; choose one of ddim, ddpm, deis"),
                           ("guidance_rule", "--guidance-rule: got 'lcm'; choose one of fpdm, imagpose")):  # fmt: skip
        with pytest.raises(BadValue, match=words):
            RenderSettings(**{setting: "lcm"})
