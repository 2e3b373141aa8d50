"""Numbers of the released FPDM and IMAGPose code, reproduced through our modules; tolerances from the JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from golden_set import DTYPES, Golden, suffixed, to_canvas, to_views
from torch import Tensor

from signgen.model.diffusion import guidance, losses, parametrisation, sampling
from signgen.model.networks import reference
from signgen.model.networks.conditions import ImageLevel, PoseEncoder, SourceEncoder, blacken_unknown
from signgen.model.networks.denoiser import Denoiser

TRAJECTORIES = ("ddpm", "ddim_eta0", "ddim_eta1", "ddpm_unequal")
CASES = ("full", "null", "nofusion", "pertime", "odd")


@pytest.fixture(scope="module")
def load(golden: Path) -> Callable[[str], Golden]:
    return lambda name: Golden(golden, name)


@pytest.fixture(scope="module", params=[None, 3], ids=["as stored", "three items"])
def items(request: pytest.FixtureRequest) -> int | None:
    """How many items a batch has; None: as many as are stored. Nothing may hang on their number."""
    return request.param


def of_batch(stored: Golden, items: int | None) -> Golden:
    return stored if items is None else stored.of_batch(items)


# ------------------------------------------------------------------------------------------------ FPDM stage 1
@pytest.fixture(scope="module")
def combiner_set(load: Callable[[str], Golden]) -> Golden:
    return load("fpdm_combiner")


@DTYPES
def test_combiner(combiner_set: Golden, dtype: torch.dtype) -> None:
    combiner = reference.fpdm_combiner(combiner_set.weights).eval().to(dtype)
    e_src, e_pose = combiner_set.get("in.e_src", dtype), combiner_set.get("in.e_pose", dtype)
    combiner_set.check(suffixed("out.e_fuse", dtype), combiner(e_src, e_pose))
    if dtype == torch.float32:
        combiner_set.check("mid.combined", combiner.combined(e_src, e_pose))
        combiner_set.check("mid.lambda", combiner.weight(combiner.joint(e_src, e_pose)), like="out.e_fuse")


@DTYPES
@pytest.mark.parametrize("extra", ["plain", "l1"])
@pytest.mark.parametrize("kind", ["baseline", "source_enhanced"])
def test_info_nce_and_its_gradients(combiner_set: Golden, kind: str, extra: str, dtype: torch.dtype) -> None:
    entry = combiner_set.spec["losses"][f"{kind}.{extra}"]
    leaves = {key: combiner_set.get(name, dtype).clone().requires_grad_()
              for key, name in (("tgt", "in.e_tgt"), ("fuse", "out.e_fuse"), ("src", "in.e_src"))}  # fmt: skip
    function = {"baseline": losses.baseline_loss, "source_enhanced": losses.source_enhanced_loss}[kind]
    loss = function(leaves["tgt"], leaves["fuse"], leaves["src"], entry["tau"], entry["l1_weight"])
    loss.backward()
    if dtype == torch.float64:
        assert loss.item() == pytest.approx(entry["total_fp64"], abs=1e-9)
        return
    combiner_set.check(f"out.loss.{kind}.{extra}", loss.detach())
    for key, leaf in leaves.items():
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        combiner_set.check(f"out.grad_e_{key}.{kind}.{extra}", gradient)


def test_logits(combiner_set: Golden) -> None:
    targets, fusion, source = (combiner_set[name] for name in ("in.e_tgt", "out.e_fuse", "in.e_src"))
    tau = combiner_set.config["tau"]
    combiner_set.check("mid.logits.baseline", losses.similarity(targets, fusion, tau))
    doubled = losses.similarity(torch.cat([targets, source]), torch.cat([fusion, source]), tau)
    combiner_set.check("mid.logits.source_enhanced", doubled)


# ------------------------------------------------------------------------------------------------ FPDM stage 2
@pytest.fixture(scope="module")
def unet_set(load: Callable[[str], Golden], items: int | None) -> Golden:
    return of_batch(load("fpdm_unet"), items)


def make_denoiser(unet_set: Golden, dtype: torch.dtype = torch.float32, **options: Any) -> Denoiser:
    settings = unet_set.config["unet"]
    denoiser = reference.fpdm_denoiser(
        unet_set.weights, heads=settings["attention_head_dim"], norm_groups=settings["norm_num_groups"], **options
    )
    return denoiser.eval().to(dtype)


def case_inputs(unet_set: Golden, case: str, dtype: torch.dtype) -> dict[str, Any]:
    """Inputs of `Denoiser.forward` for a case; cases other than ``odd`` share those of ``full``."""
    where = "odd" if case == "odd" else "full"
    inputs = {"noisy": unet_set.get(f"{where}.in.latents", dtype),
              "timesteps": unet_set[f"{case if case == 'pertime' else where}.in.timestep"]}  # fmt: skip
    if case != "null":
        inputs["pose_features"] = unet_set.get(f"{where}.in.pose_feat", dtype)
        inputs["tokens"] = unet_set.get(f"{where}.in.tokens", dtype)
    if case not in ("null", "nofusion"):
        inputs["fusion"] = unet_set.get(f"{where}.in.fusion", dtype).squeeze(1)
    return inputs


@DTYPES
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_unet(unet_set: Golden, case: str, dtype: torch.dtype) -> None:
    out = make_denoiser(unet_set, dtype)(**case_inputs(unet_set, case, dtype))
    unet_set.check(suffixed(f"{case}.out.sample", dtype), out)


@pytest.mark.parametrize("options", [
    {"image_level": True},
    {"cross_view": {"heads": 4, "groups": 16}},
    {"image_level": True, "fill": "source", "cross_view": {"heads": 2, "groups": 8, "attentions": 1, "ff_mult": 0}},
], ids=["image level", "cross view", "both"])  # fmt: skip
@torch.no_grad()
def test_unet_with_fresh_additions_keeps_its_numbers(unet_set: Golden, options: dict[str, Any]) -> None:
    inputs = case_inputs(unet_set, "full", torch.float64)
    if "image_level" in options:
        torch.manual_seed(0)
        inputs["known"] = torch.randn_like(inputs["noisy"])
        inputs["flag"] = torch.ones_like(inputs["noisy"][:, :1])
    out = make_denoiser(unet_set, torch.float64, **options)(**inputs, views=len(inputs["noisy"]))
    unet_set.check("full.out.sample_fp64", out)


@torch.no_grad()
def test_unet_intermediates(unet_set: Golden) -> None:
    denoiser, seen = make_denoiser(unet_set), {}
    watched = {"time_emb": denoiser.unet.time_embedding, "class_emb": denoiser.unet.class_embedding,
               "down0": denoiser.unet.down_blocks[0], "mid": denoiser.unet.mid_block}  # fmt: skip
    for name, module in watched.items():
        module.register_forward_hook(lambda _module, _inputs, out, name=name: seen.update({name: out}))
    inputs = case_inputs(unet_set, "full", torch.float32)
    denoiser(**inputs)
    seen["down0"] = seen["down0"][0]
    seen["conv_in"] = denoiser.unet.conv_in(inputs["noisy"])
    for name, value in seen.items():
        unet_set.check(f"full.mid.{name}", value)
    unet_set.check("classmlp.out", seen["class_emb"])


@DTYPES
@torch.no_grad()
def test_whole_denoiser(unet_set: Golden, dtype: torch.dtype) -> None:
    denoiser = make_denoiser(unet_set, dtype)
    pose = denoiser.encode_pose(unet_set.get("poseenc.in.image", dtype))
    tokens = denoiser.encode_source(unet_set.get("srcproj.in.tokens", dtype))
    inputs = case_inputs(unet_set, "pertime", dtype) | {"pose_features": pose, "tokens": tokens}
    unet_set.check(suffixed("whole.out.sample", dtype), denoiser(**inputs))
    if dtype == torch.float32:
        unet_set.check("poseenc.out.feat", pose)
        unet_set.check("srcproj.out.tokens", tokens)


# --------------------------------------------------------------------------------------------------------- VAE
@pytest.fixture(scope="module")
def vae_set(load: Callable[[str], Golden], items: int | None) -> Golden:
    return of_batch(load("fpdm_vae"), items)


def make_vae(vae_set: Golden) -> diffusers.AutoencoderKL:
    config = vae_set.config
    return reference.fpdm_vae(vae_set.weights, config["norm_num_groups"], config["scaling_factor"]).eval()


@DTYPES
@torch.no_grad()
def test_vae(vae_set: Golden, dtype: torch.dtype) -> None:
    vae = make_vae(vae_set).to(dtype)
    posterior = vae.encode(vae_set.get("in.image", dtype)).latent_dist
    vae_set.check(suffixed("out.mean", dtype), posterior.mean)
    if dtype == torch.float32:
        vae_set.check("out.logvar", posterior.logvar)
        vae_set.check("out.latents_scaled", posterior.mean * vae.config.scaling_factor)
        vae_set.check("out.image", vae.decode(vae_set["in.latents"]).sample)


# ---------------------------------------------------------------------------------------------------- sampling
@pytest.fixture(scope="module")
def sampling_set(load: Callable[[str], Golden], items: int | None) -> Golden:
    return of_batch(load("fpdm_sampling"), items)


def make_scheduler(name: str, settings: dict[str, Any]) -> Any:
    """The scheduler that a golden set names; keys that it does not know belong to the other ones."""
    settings = settings | {"set_alpha_to_one": settings.get("ddim_set_alpha_to_one", True)}
    kind = getattr(diffusers, name)
    known = kind().config.keys()
    return kind(**{key: value for key, value in settings.items() if key in known})


def branch_inputs(sampling_set: Golden, branch: str) -> dict[str, Tensor]:
    if branch == "null":
        return {}
    inputs = {"pose_features": sampling_set["in.pose_feat"], "tokens": sampling_set["in.tokens"]}
    return inputs | {"fusion": sampling_set["in.fusion"].squeeze(1)} if branch == "full" else inputs


@torch.no_grad()
def test_guidance(sampling_set: Golden, unet_set: Golden) -> None:
    denoiser, asked = make_denoiser(unet_set), []

    def branch(name: str) -> Tensor:
        asked.append(name)
        return denoiser(sampling_set["in.initial_noise"], 501, **branch_inputs(sampling_set, name))

    for name, stored in zip(guidance.BRANCHES, ("uncond", "source_pose", "full"), strict=True):
        sampling_set.check(f"guidance.branch.{stored}", branch(name))
    for pair, (w1, w2) in sampling_set.config["guidance_pairs"].items():
        asked.clear()
        sampling_set.check(f"guidance.out.{pair}", guidance.guided(branch, w1, w2))
        assert len(asked) == guidance.evaluations_per_step(w1, w2)


@pytest.mark.parametrize("name", TRAJECTORIES)
@torch.no_grad()
def test_trajectory(sampling_set: Golden, unet_set: Golden, vae_set: Golden, name: str) -> None:
    run = sampling_set.config["trajectories"][name]
    denoiser = make_denoiser(unet_set)
    scheduler = make_scheduler(run["scheduler"], sampling_set.config["scheduler"])
    timesteps = sampling.schedule(scheduler, run["steps"])
    assert timesteps.tolist() == run["timesteps"] == sampling_set[f"{name}.timesteps"].tolist()
    latents, predictions, branches = [sampling_set["in.initial_noise"]], [], []

    def denoise(noisy: Tensor, timestep: Tensor) -> Tensor:
        out = {part: denoiser(noisy, timestep, **branch_inputs(sampling_set, part)) for part in guidance.BRANCHES}
        branches.append(torch.stack(list(out.values())))
        predictions.append(guidance.guided(out.__getitem__, run["w1"], run["w2"]))
        return predictions[-1]

    recorded = sampling_set[f"{name}.noises"] if run["n_noises"] else None
    sampling.sample(denoise, latents[0], scheduler, timesteps, noises=recorded, eta=run["eta"] or 0.0,
                    on_step=lambda _step, current: latents.append(current))  # fmt: skip
    sampling_set.check(f"{name}.branches", torch.stack(branches), like=f"{name}.guided")
    sampling_set.check(f"{name}.guided", torch.stack(predictions))
    sampling_set.check(f"{name}.latents", torch.stack(latents))
    if f"{name}.image" in sampling_set.tensors:
        vae = make_vae(vae_set)
        image = vae.decode(latents[-1] / vae.config.scaling_factor).sample
        sampling_set.check(f"{name}.image", (image / 2 + 0.5).clamp(0, 1))


def test_schedule_and_noising(sampling_set: Golden) -> None:
    scheduler = make_scheduler("DDPMScheduler", sampling_set.config["scheduler"])
    sampling_set.check("schedule.alphas_cumprod", scheduler.alphas_cumprod)
    sampling_set.check("schedule.betas", scheduler.betas)
    clean, noise, timesteps = (sampling_set[f"addnoise.in.{name}"] for name in ("x0", "noise", "timesteps"))
    sampling_set.check("addnoise.out.x_t", parametrisation.add_noise(scheduler, clean, noise, timesteps))
    sampling_set.check("addnoise.out.velocity", parametrisation.target_for(scheduler, clean, noise, timesteps))


# ---------------------------------------------------------------------------------------------------- IMAGPose
@pytest.fixture(scope="module")
def imagpose_set(load: Callable[[str], Golden], items: int | None) -> Golden:
    return of_batch(load("imagpose_cva"), items)


@pytest.fixture(scope="module")
def imagpose(imagpose_set: Golden) -> dict[str, Any]:
    settings = imagpose_set.config["cva"]
    return reference.imagpose_parts(
        imagpose_set.weights, settings["num_attention_heads"], settings["group_norm_groups"]
    )


@DTYPES
@torch.no_grad()
def test_views_as_batch_items_equal_the_canvas(
    imagpose_set: Golden, imagpose: dict[str, Any], dtype: torch.dtype
) -> None:
    module = reference.imagpose_cross_view(
        {key.removeprefix("motion_module."): value for key, value in imagpose_set.weights.items()
         if key.startswith("motion_module.")}, imagpose_set.config["cva"]["num_attention_heads"],
    ).to(dtype)  # fmt: skip
    views = to_views(imagpose_set.get("cva.in.canvas", dtype)[:, :, 0])  # (B, 4, C, h, w)
    out = module(views.flatten(0, 1), views=4).unflatten(0, (-1, 4))
    imagpose_set.check(suffixed("cva.out.canvas", dtype), to_canvas(out))
    if dtype == torch.float32:
        imagpose_set.check("cva.mid.views_in", views.transpose(1, 2))
        imagpose_set.check("cva.out.views", out.transpose(1, 2))


@torch.no_grad()
def test_cross_view_attention_sub_layer(imagpose_set: Golden, imagpose: dict[str, Any]) -> None:
    given = imagpose_set["cva.attn.in"].unflatten(0, (-1, 4))  # (B, V, L, C)
    tokens = given.transpose(1, 2).flatten(0, 1)  # (B*L, V, C)
    out = imagpose["motion_module"].blocks[0].attend(tokens, 0)
    imagpose_set.check("cva.attn.out", out.unflatten(0, (given.shape[0], -1)).transpose(1, 2))


@torch.no_grad()
def test_patch_tokens_and_pose_guider(imagpose_set: Golden, imagpose: dict[str, Any]) -> None:
    for case in ("main", "odd"):
        imagpose_set.check(f"patch.{case}.out", imagpose["patch"](imagpose_set[f"patch.{case}.in"]))
    guider: PoseEncoder = imagpose["pose_guider"]
    imagpose_set.check("poseguider.out.feat", guider(imagpose_set["poseguider.in.image"]))
    expected = imagpose_set["ilc.out.pose_feat"]  # the same for all items, without and with the condition
    imagpose_set.check("ilc.out.pose_feat", guider(imagpose_set["ilc.in.pose"][None]).expand_as(expected[:, :, 0]))


@torch.no_grad()
def test_image_and_feature_level_conditions(imagpose_set: Golden, imagpose: dict[str, Any]) -> None:
    known = to_views(imagpose_set["ilc.in.masked_latents"]).flatten(0, 1)  # (B*4, 4, h, w)
    noisy = to_views(imagpose_set["ilc.in.noisy"][:, :, 0])  # (B, 4, 4, h, w)
    bits = torch.tensor([imagpose_set.config["ilc"]["bits"]]).expand(len(noisy), -1)
    level = ImageLevel()
    _, flag = level.known_views(noisy, bits)  # (B*4, 1, h, w)
    for canvas in to_canvas(flag.unflatten(0, (-1, 4))):
        assert torch.equal(canvas, imagpose_set["ilc.in.flag"])
    without, conditional = imagpose_set["ilc.out.unet_input"][:, :, 0].chunk(2)  # (B, 9, 2h, 2w) each
    joined = level(noisy.flatten(0, 1), known, flag)
    assert torch.equal(to_canvas(joined.unflatten(0, (-1, 4))), conditional)
    assert torch.equal(without, conditional)
    dim = imagpose_set.config["patch_embedding"]["embed_dim"]
    encoder = SourceEncoder(dim, dim, hidden=None, patch=imagpose["patch"].proj.stride[0])
    encoder.patch = imagpose["patch"]
    tokens = encoder(imagpose_set["ilc.in.image_tokens"], imagpose_set["ilc.in.ref_latents"])
    imagpose_set.check("ilc.out.tokens", torch.cat([torch.zeros_like(tokens), tokens]))


@pytest.mark.parametrize("index", range(3))
def test_training_masks(imagpose_set: Golden, index: int) -> None:
    name = f"dataset.{index}"
    tiles = imagpose_set[f"{name}.tiles"].permute(0, 3, 1, 2) / 255.0 * 2 - 1  # (4, 3, H, W)
    pose = imagpose_set[f"{name}.pose_tiles"].permute(0, 3, 1, 2) / 255.0
    bits = imagpose_set[f"{name}.bits"].bool()
    latents = torch.zeros(1, 4, 4, tiles.shape[2] // 8, tiles.shape[3] // 8)
    imagpose_set.check(f"{name}.canvas", to_canvas(tiles))
    imagpose_set.check(f"{name}.masked_canvas", to_canvas(blacken_unknown(tiles[None], bits[None])[0]))
    imagpose_set.check(f"{name}.flag", to_canvas(ImageLevel().known_views(latents, bits[None])[1]))
    imagpose_set.check(f"{name}.pose_canvas", to_canvas(pose))


def test_zero_terminal_snr(imagpose_set: Golden) -> None:
    settings = imagpose_set.config["scheduler"]
    inference = make_scheduler("DDIMScheduler", settings)
    training = make_scheduler("DDPMScheduler", settings | {"beta_schedule": "scaled_linear"})
    imagpose_set.check("schedule.inference.alphas_cumprod", inference.alphas_cumprod)
    imagpose_set.check("schedule.training.alphas_cumprod", training.alphas_cumprod)
    for steps in (20, 30):
        assert torch.equal(sampling.schedule(inference, steps), imagpose_set[f"schedule.inference.timesteps_{steps}"])
    timesteps = imagpose_set["minsnr.timesteps"]
    imagpose_set.check("minsnr.snr", parametrisation.snr(training, timesteps))
    imagpose_set.check("minsnr.weight_v_gamma5", losses.min_snr_weights(training, timesteps, 5.0))


def test_four_ddim_steps(imagpose_set: Golden) -> None:
    scheduler = make_scheduler("DDIMScheduler", imagpose_set.config["scheduler"])
    timesteps = sampling.schedule(scheduler, 4)
    assert torch.equal(timesteps, imagpose_set["schedule.ddim4.timesteps"])
    latents = [imagpose_set["schedule.ddim4.latents"][0]]
    sampling.sample(lambda noisy, _: 0.1 * noisy, latents[0], scheduler, timesteps,
                    on_step=lambda _step, current: latents.append(current))  # fmt: skip
    imagpose_set.check("schedule.ddim4.latents", torch.stack(latents))
