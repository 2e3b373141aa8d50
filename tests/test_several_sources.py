"""Several sources, and any frames of a clip as views: IMAGPose's tasks in training and in one window."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from test_regions import HAND, person, picture
from tiny_pipeline import make_pipeline, weather
from tiny_pipeline import picture as tiny_picture
from training_runs import VISION, lines, make, noise_cache

from signgen.dataset.cache import FrameCache
from signgen.dataset.pairs import draw_windows
from signgen.dataset.training_data import cache_folder
from signgen.errors import InputError
from signgen.keypoints.skeleton import LEFT_HAND
from signgen.model import SignGenPipeline
from signgen.model.diffusion.noise import frame_noise
from signgen.model.engine import TorchEngine
from signgen.model.networks.cross_view import CrossViewAttention
from signgen.model.networks.denoiser import Denoiser
from signgen.model.regions import SourceRegions, nearest_hands, nearest_heads, reference_crops
from signgen.model.schedulers import noised
from signgen.rendering.sample_windows import render_windows
from signgen.rendering.scene import Scene
from signgen.rendering.settings import RenderSettings
from signgen.training.config import TrainConfig
from signgen.training.denoiser import DenoiserTask
from signgen.training.run import make_task, run_stage
from signgen.training.starts import with_parts

VAE = {"widths": [8, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1, 1]}
DENOISER = {
    "channels": 16, "block_out_channels": [16, 16], "layers_per_block": 1, "attention": [False, True], "head_dim": 8,
    "norm_groups": 8, "cross_attention_dim": 16, "pose": {"block_out_channels": [8, 8], "unshuffle": 2, "guide": 10},
    "source": {"semantic_dim": 16, "hidden": 16, "patch": 4, "positions": True, "dropout": 0.0}, "fusion_dim": 16,
    "fusion_hidden": 16, "image_level": True, "fill": "source",
    "cross_view": {"levels": [1], "mid": False, "heads": 2, "groups": 8, "attentions": 1, "ff_mult": 0},
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_cache(tmp_path_factory.mktemp("data"), 128, 136)


@pytest.fixture(scope="module")
def starts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    run_stage(make(data, folder / "ae", "autoencoder", model=VAE))
    run_stage(make(data, folder / "fusion", "fusion", model={"vision": VISION}))
    return {"autoencoder": str(folder / "ae/model/vae"), "fusion": str(folder / "fusion/model/fusion")}


def task_of(config: TrainConfig) -> DenoiserTask:
    folder = cache_folder(config.data)
    return make_task(config, FrameCache.open(folder), torch.device("cpu"), folder)


def test_sources_and_unordered_frames_are_all_different_and_of_one_clip(data: Path) -> None:
    cache = FrameCache.open(cache_folder(data))
    windows = draw_windows(cache, 20, 2, np.random.default_rng(0), sources=2, unordered=True)
    assert windows.sources.shape == (20, 2)
    for clip, sources, target in zip(windows.clip, windows.sources, windows.target, strict=True):
        first, last = cache.bounds[clip]
        assert all(first <= frame < last for frame in (*sources, *target))
        assert len({*sources, *target}) == 4
    assert any(np.diff(target)[0] != 1 for target in windows.target)
    truth = np.array(cache.keypoints[windows.target.ravel()]).reshape(windows.truth.shape)
    assert np.array_equal(windows.truth, truth)


def test_usual_windows_are_drawn_as_ever(data: Path) -> None:
    cache = FrameCache.open(cache_folder(data))
    plain, rng = draw_windows(cache, 6, 2, np.random.default_rng(0)), np.random.default_rng(0)
    again = draw_windows(cache, 6, 2, rng, sources=3)
    assert np.array_equal(plain.target, again.target)
    assert np.array_equal(plain.source, again.source)
    assert plain.more.shape == (6, 0)
    assert again.more.shape == (6, 2)


def test_the_sources_are_the_known_first_views_and_their_poses_are_told_where_asked(
    data: Path, starts: dict[str, str], tmp_path: Path
) -> None:
    for told in (0.0, 1.0):
        config = make(
            data, tmp_path, "video", start=starts, model=DENOISER, views=2, sources=[3], source_poses=told
        )  # fmt: skip
        task = task_of(config)
        drawn = task.draw(np.random.default_rng(4))
        inputs, views, bits = task.inputs(drawn, task.denoiser.known_input, torch.Generator().manual_seed(0))
        assert views == 5
        assert bits[:, :3].all()
        assert not bits[:, 4].any()
        assert inputs.source.shape[:2] == inputs.semantic.shape[:2] == (2, 3)
        assert torch.equal(inputs.latents.unflatten(0, (2, 5))[:, :3], inputs.source)
        assert bool(inputs.pose.unflatten(0, (2, 5))[:, :3, :3].any()) == bool(told)
        assert inputs.pose.unflatten(0, (2, 5))[:, 3:, :3].any()


def test_the_only_frame_of_a_window_is_never_known(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    task = task_of(make(data, tmp_path, "video", start=starts, model=DENOISER, sources=[2], batch=8))
    _, views, bits = task.inputs(task.draw(np.random.default_rng(4)), task.denoiser.known_input, torch.Generator())
    assert views == 3
    assert bits[:, :2].all()
    assert not bits[:, 2].any()


def test_sources_are_held_against_no_frame(
    data: Path, starts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not those that a denoiser without image-level condition paints itself."""
    model = {**DENOISER, "image_level": False}
    task = task_of(make(data, tmp_path, "video", start=starts, model=model, views=2, loss={"pixel": 1.0, "crop": 64}))
    windows, rng, seen = task.draw(np.random.default_rng(4)).windows, np.random.default_rng(0), []
    images = task.images
    monkeypatch.setattr(task, "images", lambda frames: seen.extend(frames.tolist()) or images(frames))
    task._pixel_loss(torch.zeros(6, 16, 17, 16), windows, 3, np.ones(6, bool), rng)
    assert seen == windows.target.ravel().tolist()


def test_an_earlier_denoiser_that_reads_guides_goes_on_with_dropout_and_other_norms(
    data: Path, starts: dict[str, str], tmp_path: Path
) -> None:
    run_stage(make(data, tmp_path / "den", "denoiser", start=starts, model=DENOISER))
    start = {**starts, "denoiser": str(tmp_path / "den/model/denoiser")}
    task = task_of(make(data, tmp_path / "on", "video", start=start, model={"norms": "affine"}, views=2))
    assert task.denoiser.config.norms == "affine"
    assert task.denoiser.training
    assert task_of(make(data, tmp_path / "same", "video", start=start, views=2)).denoiser.training


def test_crops_fit_into_frames(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    for loss, words in (
        ({"crop": 60}, "loss.crop: got 60; give pixels, a multiple of 8 and 32"),
        ({"zoom": 40}, "loss.zoom: got 40; give pixels, a multiple of 8 and 48"),
        ({"pixel": 1.0, "crop": 136}, "loss.crop: got 136 for a canvas of 128x136; give 128 at most"),
        ({"zooms": 1, "zoom": 136}, "loss.zoom: got 136 for a canvas of 128x136; give 128 at most"),
    ):
        with pytest.raises(InputError, match=words):
            task_of(make(data, tmp_path, "video", start=starts, model=DENOISER, loss=loss))


def test_a_model_with_published_encoders_is_a_start(tmp_path: Path) -> None:
    make_pipeline().save_pretrained(tmp_path / "model")
    config = make(tmp_path, tmp_path, "video", start={"model": str(tmp_path / "model")})
    assert set(with_parts(config).start) == {"autoencoder", "fusion", "denoiser"}
    settings = tmp_path / "model/vae/config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "_class_name": "AutoencoderKL"}))
    (tmp_path / "model/image_encoder").mkdir()
    start = with_parts(config).start
    assert set(start) == {"vae", "fusion", "denoiser", "image_encoder"}
    assert start["vae"] == str(tmp_path / "model/vae")
    other = make(tmp_path, tmp_path, "video", start={"model": str(tmp_path / "model"), "autoencoder": "mine"})
    assert with_parts(other).start["autoencoder"] == "mine"
    assert "vae" not in with_parts(other).start


def test_mixed_masks_show_any_number_of_known_frames(data: Path, starts: dict[str, str], tmp_path: Path) -> None:
    config = make(data, tmp_path, "video", start=starts, model=DENOISER, views=3, sources=[1, 2], masks="mixed")
    task, seen = task_of(config), Counter()
    for step in range(40):
        drawn = task.draw(np.random.default_rng(step), step)
        views, sources = drawn.windows.target.shape[1], drawn.windows.sources.shape[1]
        seen[drawn.unordered, sources, views] += 1
        assert (views, sources) == (3, 1 + step % 2) or drawn.unordered
        assert views + sources == 4 or not drawn.unordered
        _, count, bits = task.inputs(drawn, task.denoiser.known_input, torch.Generator().manual_seed(0))
        assert count == views + sources
        if drawn.unordered:
            assert (bits.sum(1) == sources).all()
    assert {(True, 1, 3), (True, 2, 2), (True, 3, 1), (False, 1, 3), (False, 2, 3)} == set(seen)


@pytest.mark.parametrize("stage", ["video", "distill"])
def test_stages_train_with_them(data: Path, starts: dict[str, str], tmp_path: Path, stage: str) -> None:
    settings = {"views": 2, "masks": "mixed", "sources": [1, 2], "source_poses": 0.5, "steps": 4}
    if stage == "distill":
        run_stage(make(data, tmp_path / "den", "denoiser", start=starts, model=DENOISER))
        starts = {**starts, "denoiser": str(tmp_path / "den/model/denoiser")}
        settings |= {"loss": {"student_steps": [1, 2], "pixel": 1.0, "crop": 64, "zooms": 2, "zoom": 64}}
    else:
        joint = {**DENOISER["cross_view"], "attention": "joint"}
        settings |= {"model": {**DENOISER, "cross_view": joint}}
    run_stage(make(data, tmp_path / "run", stage, start=starts, **settings))
    assert all(np.isfinite(line["loss"]) for line in lines(tmp_path / "run"))
    made = Denoiser.from_pretrained(tmp_path / "run/model/denoiser")
    assert made.config.cross_view.get("attention", "place") == ("joint" if stage == "video" else "place")
    assert all(part.joint is (stage == "video") for part in made.modules() if isinstance(part, CrossViewAttention))
    assert json.loads((tmp_path / "run/model/pipeline.json").read_text())["source_poses"] is True


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"masks": "T2"}, "masks: got 'T2'; choose from window, imagpose, mixed"),
        ({"sources": [2, 0]}, r"sources: got \[2, 0\]; each must be 1 or more"),
        ({"source_poses": 2}, "source_poses: got 2.0; it is a share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(data: Path, tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make(data, tmp_path, "video", **changes)


def test_a_window_sees_all_sources() -> None:
    pipeline = make_pipeline()
    poses = np.random.default_rng(3).integers(0, 255, (2, 56, 48, 3), dtype=np.uint8)
    one, other = tiny_picture(), tiny_picture()[:, ::-1] // 2
    alone, both = pipeline.encode_source(one), pipeline.encode_source(np.stack([one, other]))
    assert torch.allclose(both.latents[:1], alone.latents, atol=1e-5)
    length = alone.tokens.shape[1]
    assert torch.allclose(both.tokens[:, :length], alone.tokens, atol=1e-5)
    assert torch.allclose(both.tokens[:, length:], pipeline.encode_source(other).tokens, atol=1e-5)
    made = pipeline(both, poses, [4, 5])
    assert made.evaluations == 4
    assert not np.array_equal(made.frames, pipeline(alone, poses, [4, 5]).frames)
    for source in (alone, both):  # frames keep their noise, however many sources stand before them
        conditions = pipeline.window_conditions(source, poses, [])
        assert conditions.bits.tolist() == [True] * len(source.latents) + [False] * 2


def test_known_frames_may_be_any_frames_of_the_clip() -> None:
    pipeline = make_pipeline()
    poses = np.random.default_rng(3).integers(0, 255, (3, 56, 48, 3), dtype=np.uint8)
    source, later = pipeline.encode_source(tiny_picture()), pipeline.encode_frame(tiny_picture()[:, ::-1].copy())
    assert later.shape == source.latents.shape[1:]
    before, after = (pipeline(source, poses, [4, 5], [later], known_indices=where) for where in (None, [9]))
    assert before.frames.shape == after.frames.shape
    assert not np.array_equal(before.frames, after.frames), "a known view is noised by its own number"
    same = pipeline(source, poses, [4, 5], [later], known_indices=[3])
    assert np.array_equal(before.frames, same.frames)


@pytest.mark.parametrize("told", [False, True])
def test_a_model_is_told_the_sources_own_poses_where_it_has_learned_them(told: bool) -> None:
    pipeline = make_pipeline()
    pipeline.register_to_config(source_poses=told)
    poses = np.random.default_rng(3).integers(1, 255, (2, 56, 48, 3), dtype=np.uint8)
    source = pipeline.encode_source(tiny_picture(), poses[0])
    given = pipeline.window_conditions(source, poses, []).pose_features
    alone = pipeline.window_conditions(pipeline.encode_source(tiny_picture()), poses, []).pose_features
    assert torch.equal(given[1:], alone[1:])
    assert torch.allclose(given[0], given[1], atol=1e-5) is told, "the source's view has the pose of the first frame"
    assert torch.equal(given[0], alone[0]) is not told


def test_each_crop_gets_the_source_that_is_most_like_it() -> None:
    front, turned = person(), person(turn=14)
    fist = person()
    fist[LEFT_HAND, :2] = HAND * (1, 0.5) + (85, 105)
    heads = [SourceRegions.of(picture(seed), own) for seed, own in ((0, front), (1, turned))]
    points = np.stack([turned, front, person(turn=12)])
    assert nearest_heads(points, heads).tolist() == [1, 0, 1]
    hands = [SourceRegions.of(picture(seed), own) for seed, own in ((0, fist), (1, front))]
    points, sides = np.stack([front, fist]), np.zeros(2, int)
    assert nearest_hands(points, sides, hands).tolist() == [1, 0]
    places = np.array([[40, 60], [40, 60]])
    colours, known = reference_crops("hand", points, sides, places, 48, hands)
    for index, source in enumerate((hands[1], hands[0])):
        own, share = source.hands(points[index : index + 1], sides[:1], places[:1], 48)
        assert torch.equal(colours[index : index + 1], own)
        assert torch.equal(known[index : index + 1], share)


def scene(frames: int, **changes: object) -> Scene:
    clip = weather(frames)
    return Scene(tiny_picture(), clip[:1], clip, None, None, [], **changes)  # type: ignore[arg-type]


def rendered(pipeline: SignGenPipeline, of: Scene, frames: range) -> tuple[np.ndarray, list[int]]:
    """All frames, and the views that the denoiser saw in each window."""
    seen: list[int] = []

    class Watched(TorchEngine):
        def denoise(self, noisy: torch.Tensor, timestep: torch.Tensor, given: dict) -> torch.Tensor:
            seen.append(len(noisy))
            return super().denoise(noisy, timestep, given)

    pipeline.engine = Watched(pipeline)
    windows = list(render_windows(pipeline, of, frames, RenderSettings(steps=1, window=8, overlap=1)))
    assert [i for window in windows for i in window.indices] == list(frames)
    return np.concatenate([window.frames for window in windows]), seen


@pytest.mark.parametrize("refined", [False, True])
def test_a_clip_sees_its_sources_and_frames_that_are_given(refined: bool) -> None:
    pipeline = make_pipeline(refined=refined, pose={**DENOISER["pose"], "block_out_channels": [16, 16]})
    alone, views = rendered(pipeline, scene(14), range(14))
    assert views == [8, 8, 3]
    other = tiny_picture()[:, ::-1].copy() // 2
    both, views = rendered(pipeline, scene(14, more=[(other, None), (other, weather(1))]), range(14))
    assert views == [8, 8, 8, 5]
    assert not np.array_equal(alone, both)
    given = {0: other, 9: tiny_picture() // 3}
    fixed, views = rendered(pipeline, scene(14, given=given), range(14))
    assert np.array_equal(fixed[0], given[0])
    assert np.array_equal(fixed[9], given[9])
    assert not np.array_equal(fixed[1], alone[1]), "what is given is seen by the frames beside it"
    assert views == [8, 7, 5]  # frame 9 is a view of the first window, too
    part, _ = rendered(pipeline, scene(14, given=given), range(9, 14))
    assert np.array_equal(part[0], given[9])


@pytest.mark.parametrize("attention", ["place", "joint"])
def test_the_next_clip_goes_on_from_the_last_frame_of_the_one_before(
    attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clip whose first frame is given goes on as the whole clip does behind a frame that was rendered: to the bit,
    where the autoencoder gives back what the frame was made of."""
    pipeline = make_pipeline(cross_view={**DENOISER["cross_view"], "levels": [1], "groups": 4, "attention": attention})
    driving, picture = weather(12), tiny_picture()
    whole, decoded = Scene(picture, driving[:1], driving, None, None, []), []

    class Watched(TorchEngine):
        def frames(self, latents: torch.Tensor) -> np.ndarray:
            decoded.append(latents)
            return super().frames(latents)

    pipeline.engine = Watched(pipeline)
    settings = RenderSettings(steps=1, window=8, overlap=1, seed=3)
    windows = list(render_windows(pipeline, whole, range(12), settings))
    assert [len(window.indices) for window in windows] == [7, 5]
    last = windows[0].frames[-1]
    monkeypatch.setattr(pipeline, "encode_frame", lambda image: decoded[0][-1])
    on = Scene(picture, driving[:1], driving, None, None, [], given={6: last})
    part = np.concatenate([window.frames for window in render_windows(pipeline, on, range(6, 12), settings)])
    assert np.array_equal(part[0], last)
    assert np.array_equal(part[1:], windows[1].frames)
    alone = np.concatenate([window.frames for window in render_windows(pipeline, whole, range(6, 12), settings)])
    assert not np.array_equal(part, alone)


def test_guidance_of_imagpose_keeps_the_poses_in_both_branches() -> None:
    pipeline, asked = make_pipeline(fusion_dim=None), []
    poses = np.random.default_rng(3).integers(0, 255, (2, 56, 48, 3), dtype=np.uint8)
    source = pipeline.encode_source(tiny_picture())
    own = pipeline.engine.denoise

    class Watched(TorchEngine):
        def denoise(self, noisy: torch.Tensor, timestep: torch.Tensor, given: dict) -> torch.Tensor:
            asked.append((given.get("pose_features") is not None, given.get("tokens") is not None))
            assert given["known"] is not None
            assert given["flag"] is not None
            return super().denoise(noisy, timestep, given)

    given = {"num_inference_steps": 1, "guidance_scale": (2.0, 2.0)}
    of_fpdm = pipeline(source, poses, [0, 1], **given).latents
    pipeline.engine = Watched(pipeline)
    of_imagpose = pipeline(source, poses, [0, 1], guidance_rule="imagpose", **given).latents
    assert asked == [(True, False), (True, True)]
    assert not torch.equal(of_imagpose, of_fpdm)
    with torch.inference_mode():  # e = e(pose) + w [e(pose, source) - e(pose)], at pure noise x0 = -v
        conditions = pipeline.window_conditions(source, poses, [])
        noise = frame_noise(0, [2**62, 0, 1], of_fpdm.shape[1:])
        noise[0] = noised(pipeline.scheduler, conditions.clean, noise, torch.tensor(999))[0]
        some = {"known": conditions.known, "flag": conditions.flag, "pose_features": conditions.pose_features}
        without = own(noise, torch.tensor(999), some)
        full = own(noise, torch.tensor(999), {**some, "tokens": source.tokens})
    torch.testing.assert_close(of_imagpose, -(without + 2 * (full - without))[1:], atol=1e-4, rtol=1e-4)
    pipeline.register_to_config(guidance_rule="imagpose")
    assert torch.equal(pipeline(source, poses, [0, 1], **given).latents, of_imagpose)
    with pytest.raises(InputError, match="guidance_rule: got 'both'; choose from fpdm, imagpose"):
        pipeline(source, poses, [0, 1], guidance_rule="both")
