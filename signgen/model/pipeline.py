"""`SignGenPipeline`: one window of views, tensors in, frames out, in diffusers' own folder layout."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from signgen.errors import BadValue, Damaged, Mismatch, Unsupported
from signgen.model.base import TENSORS, BasePipeline, Interrupted, StepEnd
from signgen.model.diffusion.guidance import RULES, evaluations_per_step, guided
from signgen.model.diffusion.noise import frame_noise, step_noise
from signgen.model.diffusion.sampling import Denoise, sample, schedule
from signgen.model.engine import TorchEngine, pixels
from signgen.model.guide import BODY, CHANNELS, NOTHING, POSE, draw_guides, with_arms
from signgen.model.loading import choose_device, choose_dtype, model_folder, sha256_of, shared_parts
from signgen.model.networks import autoencoder, composer, denoiser, fusion, refiner
from signgen.model.networks.canvas import fit_canvas, fit_frames, from_canvas
from signgen.model.networks.composer import fill_plate
from signgen.model.networks.cross_view import ViewMemory
from signgen.model.networks.fusion import FusionModel, semantic_tokens
from signgen.model.networks.weight_files import add_weights, no_bars
from signgen.model.networks.winograd import use_winograd
from signgen.model.regions import REFINERS, SourceRegions, hidden_by, keep_faces, paste, person_reach, region_crops
from signgen.model.schedulers import check_scheduler, learned_settings, noised
from signgen.model.window import Backdrop, SourceConditions, WindowConditions, WindowOutput
from signgen.video.tensors import from_signed, to_frames

if TYPE_CHECKING:
    from signgen.model.networks.refiner import RegionRefiner

COMPONENTS = (
    autoencoder,
    denoiser,
    fusion,
    refiner,
    composer,
)  # diffusers loads classes only of modules that are imported already
# Models saved by signgen 0.1 name these modules in their model_index.json.
sys.modules |= {f"signgen.models.{module.__name__.rpartition('.')[2]}": module for module in COMPONENTS}
_HALO, _CLEAR = 3, 0.1  # px around the source person that are filled, too; matte that still counts as backdrop
_SURE = 0.95  # matte of what is the person though it lies where nobody is expected
_SLEEVE = 1 / 16  # of the height: how far the person may go on beyond where they are expected
_RATHER = 0.6  # matte of what goes on there; less of it lies on patterned walls, too
_SOURCE = 2**62  # keys the noise of the first source's view; no clip is that long
COMPOSING = ("matte", "composer")
_SHARED = {"fusion": FusionModel, "matte": composer.SourceMatte, "composer": composer.FrameComposer}
_MODULES = ("vae", "denoiser", "fusion", "image_encoder", *REFINERS, *COMPOSING)
_OF_PIXELS = ("vae", "denoiser", *REFINERS, *COMPOSING)  # convolutions, faster with channels last


class SignGenPipeline(BasePipeline):
    """Source conditions and pose images of a window in, frames out.

    Args:
        vae: `FrameAutoencoder` or diffusers' AutoencoderKL.
        denoiser: `Denoiser`.
        scheduler: a diffusers scheduler.
        fusion: `FusionModel`; None for a denoiser without fusion embedding and semantic tokens.
        image_encoder: makes the semantic tokens of the source (DINOv2); None: the fusion model's encoder does.
        hand_refiner, face_refiner: `RegionRefiner`, which paint hands and faces again; None: they stay as they are.
        matte, composer: `SourceMatte` and `FrameComposer`, which put the source's own backdrop behind the person; None:
            frames stay as they are painted.
        frame_size: (W, H) of the frames; padded inside to multiples of 8 by repeating the edge.
        pixel_aspect: shown width / true width of things in the frames the model was trained on.
        pose_style: style of the pose images it was trained on.
        lower_body: whether it has learned what hips and legs inside the frame look like; if not they are not drawn.
        steps, guidance, window, overlap: defaults for rendering; see `signgen.rendering.RenderSettings`.
        image_encoder_size: side of the letter-boxed square that the image encoder reads.
        guidance_rule: ``fpdm`` or ``imagpose``, see `signgen.model.diffusion.guidance`.
        source_poses: whether it has learned windows in which the sources' own poses are told; if not they are black.
        shutter: default for rendering; None: that of the refiners, see `RegionRefiner`.

    Example:
        >>> from signgen import SignGenPipeline, draw_pose, load_source, read_keypoints
        >>> pipeline = SignGenPipeline.from_pretrained("mini")
        >>> source = pipeline.encode_source(load_source("alma").image)
        >>> poses = draw_pose(read_keypoints("clip.pose").keypoints[:2], size=pipeline.canvas_size)
        >>> pipeline(source, poses, [0, 1]).frames.shape  # [0, 1]: the frames' numbers, which decide their noise
        (2, 260, 210, 3)
    """

    model_cpu_offload_seq = "fusion->image_encoder->denoiser->vae->matte->composer->hand_refiner->face_refiner"
    _optional_components = ["fusion", "image_encoder", *REFINERS, *COMPOSING]
    _callback_tensor_inputs = list(TENSORS)

    def __init__(
        self,
        vae: Any,
        denoiser: Any,
        scheduler: Any,
        fusion: Any = None,
        image_encoder: Any = None,
        frame_size: list[int] | tuple[int, int] = (210, 260),
        pixel_aspect: float = 0.81,
        pose_style: str = "signgen",
        lower_body: bool = True,
        steps: int = 1,
        guidance: list[float] | tuple[float, float] = (1.0, 1.0),
        window: int = 8,
        overlap: int = 2,
        image_encoder_size: int = 518,
        hand_refiner: Any = None,
        face_refiner: Any = None,
        guidance_rule: str = "fpdm",
        source_poses: bool = False,
        matte: Any = None,
        composer: Any = None,
        shutter: float | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae, denoiser=denoiser, scheduler=scheduler, fusion=fusion, image_encoder=image_encoder,
            hand_refiner=hand_refiner, face_refiner=face_refiner, matte=matte, composer=composer,
        )  # fmt: skip
        self.register_to_config(
            frame_size=list(frame_size), pixel_aspect=pixel_aspect, pose_style=pose_style,
            lower_body=lower_body, steps=steps,
            guidance=list(guidance), window=window, overlap=overlap, image_encoder_size=image_encoder_size,
            guidance_rule=guidance_rule, source_poses=source_poses, shutter=shutter,
        )  # fmt: skip
        self.name = "unnamed"
        self._guidance_scale = tuple(guidance)
        self._learned = learned_settings(scheduler)  # what another scheduler must agree with
        self.engine = TorchEngine(self)

    # -- loading ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "mini",
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        allow_download: bool = False,
        **kwargs: Any,
    ) -> SignGenPipeline:
        """Loads ``"mini"`` or a folder in diffusers' layout, safetensors only.

        Args:
            model: a packaged model's name, or a folder; a hub id only with ``allow_download``.
            device: ``auto``, ``cpu`` or ``cuda``.
            dtype: ``auto``, or ``float32``, ``bfloat16``, ``float16``.
            allow_download: whether ``model`` may be fetched from the hub; nothing is ever fetched otherwise.

        Raises:
            InputError: no such model, a folder that holds none, or a device that is not there.
        """
        device = choose_device(device)
        dtype = choose_dtype(dtype, device)
        folder = None if allow_download and not Path(model).exists() else model_folder(model)
        shared = {} if folder is None else shared_parts(folder)
        kwargs = {"use_safetensors": True, "local_files_only": not allow_download, **kwargs}
        try:
            with no_bars():
                for name in shared.keys() - kwargs.keys():
                    kwargs[name] = _SHARED[name].from_pretrained(shared[name], dtype=dtype)
                pipeline = super().from_pretrained(str(folder or model), dtype=dtype, **kwargs).to(device)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise Damaged(model, f"cannot be loaded ({reason})", "give a folder made by save_pretrained") from error
        pipeline.name, pipeline.folder = str(model), folder
        return pipeline.prepared()

    def prepared(self) -> SignGenPipeline:
        """Ready for inference: no gradients, no dropout, channels last, fewer multiplications in convolutions,
        fused attention; returns itself."""
        for name in _MODULES:
            module = getattr(self, name)
            if module is not None:
                module.eval().requires_grad_(False)
                if name in _OF_PIXELS:
                    module.to(memory_format=torch.channels_last)
                    use_winograd(module)
        self.denoiser.set_attention("sdpa")
        self.set_progress_bar_config(disable=True)
        return self

    def weights_sha256(self) -> str:
        """SHA-256 over the weight files (path in the model's folder, content), or over the weights if never saved."""
        digest = hashlib.sha256()
        if self.folder is not None:
            for path in sorted(self.folder.rglob("*.safetensors")):
                digest.update(path.relative_to(self.folder).as_posix().encode())
                digest.update(path.read_bytes())
            for name, place in shared_parts(self.folder).items():
                digest.update(f"{name} {sha256_of(place)}".encode())
            return digest.hexdigest()
        for name in _MODULES:
            if (module := getattr(self, name)) is not None:
                add_weights(digest, module, f"{name}.")
        return digest.hexdigest()

    # -- sizes -----------------------------------------------------------------------------------------------------

    @property
    def frame_size(self) -> tuple[int, int]:
        """(W, H) of the frames."""
        return self.config.frame_size[0], self.config.frame_size[1]

    @property
    def canvas_padding(self) -> tuple[int, int, int, int]:
        """Pixels that the model's canvas has more than a frame: left, right, top, bottom."""
        return fit_canvas(*self.frame_size).padding

    @property
    def canvas_size(self) -> tuple[int, int]:
        """(W, H) of pose images: a frame and its padding."""
        return fit_canvas(*self.frame_size).size

    @property
    def couples_views(self) -> bool:
        """True if the views of a window see each other; if not, source and rendered frames are no views of it."""
        return self.denoiser.config.cross_view is not None and self.denoiser.known_input is not None

    @property
    def slides(self) -> bool:
        """Whether windows may slide, see ``past`` of `__call__`."""
        return self.couples_views and self.engine.slides

    # -- the source ------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode_source(self, image: np.ndarray, pose: np.ndarray | None = None) -> SourceConditions:
        """What depends on the source alone.

        Args:
            image: uint8 (H, W, 3), of `frame_size`; or (S, H, W, 3), S pictures of one person, the most like the wanted
                frames first: where a denoiser fills unknown views with the source, it is with that one.
            pose: uint8 (H', W', 3) or (S, H', W', 3), of `canvas_size`: the source person's own pose; black if None.
                Only denoisers with ``source_pose`` and models with ``source_poses`` look at it.
        """
        self.forget()
        with self.fixed_device():
            canvas = self._on_canvas(image)  # (S, 3, H', W')
            latents = self._encoded(canvas)  # (S, C, h, w)
            encoder = self.denoiser.source_encoder
            semantic = None if encoder.semantic is None else self._semantic(canvas)
            self._load_parts("fusion")
            embedding = None
            if self.denoiser.config.fusion_dim is not None:
                embedding = self.fusion.encode(canvas).mean(0, keepdim=True)  # (1, De)
            self._load_parts("denoiser")
            own_pose = None
            if self.denoiser.config.source_pose:
                own = self.no_poses(len(canvas))
                if pose is not None:
                    own[..., :POSE] = pose
                own_pose = self.denoiser.encode_pose(pixels(own, self.device).to(self.dtype))
            patches = None if encoder.patch is None else latents
            tokens = self.denoiser.encode_source(semantic, patches, own_pose)  # (S, L, D)
            told = None if pose is None else pose.reshape(-1, *pose.shape[-3:])
            return SourceConditions(latents.float(), tokens.flatten(0, 1)[None], embedding, told)

    @torch.inference_mode()
    def encode_frame(self, image: np.ndarray) -> Tensor:
        """A picture uint8 (H, W, 3) of `frame_size` as latents float32 (C, h, w): a known frame for `__call__`."""
        with self.fixed_device():
            return self._encoded(self._on_canvas(image))[0].float()

    def _on_canvas(self, images: np.ndarray) -> Tensor:
        """uint8 (H, W, 3) or (N, H, W, 3) -> (N, 3, H', W') in [-1, 1]."""
        images = images[None] if images.ndim == 3 else images
        return fit_frames(pixels(images, self.device).mul(2).sub(1)).to(self.dtype)

    def _encoded(self, canvas: Tensor) -> Tensor:
        """(N, 3, H', W') -> latents (N, C, h, w)."""
        self._load_parts("vae")
        return self.vae.encode(canvas).latent_dist.mode() * self.vae.config.scaling_factor

    def _semantic(self, canvas: Tensor) -> Tensor:
        """Semantic tokens (S, L, Ds) of sources on the canvas (S, 3, H', W') in [-1, 1]."""
        if self.image_encoder is None:
            self._load_parts("fusion")
            return self.fusion.tokens(canvas)
        self._load_parts("image_encoder")
        return semantic_tokens(self.image_encoder, canvas, self.config.image_encoder_size)

    # -- one window ------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def __call__(
        self,
        source: SourceConditions,
        poses: np.ndarray,
        frame_indices: Sequence[int],
        known_latents: Sequence[Tensor] = (),
        known_indices: Sequence[int] | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: Sequence[float] | None = None,
        guidance_rule: str | None = None,
        seed: int = 0,
        past: ViewMemory | None = None,
        decode: bool = True,
        callback_on_step_end: StepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = TENSORS,
    ) -> WindowOutput:
        """Renders the new frames of one window.

        Args:
            source: from `encode_source`.
            poses: uint8 (K + N, H', W', 3) of `canvas_size`: poses of K frames already rendered, then of N new ones;
                for a guided model as `with_guides` gives them, or else its guides say nothing.
            frame_indices: of the N new frames in the clip; with ``seed`` they decide the noise.
            known_latents: K latents (C, h, w) of the frames already rendered, or of frames that are given.
            known_indices: of these K frames in the clip; None: the ones before the new frames.
            num_inference_steps: sampling steps; None: the model's own.
            guidance_scale: w1, w2 of FPDM's eq. 12; None: the model's own.
            guidance_rule: ``fpdm`` or ``imagpose``; None: the model's own.
            seed: of the noise.
            past: for windows that slide (`slides`): the sources and frames that earlier calls with it rendered are
                seen as well, at no cost, and so are these by the next call.
            decode: whether the latents are made frames, too; if not, `decode` may do so later, in another thread even.
            callback_on_step_end: called as ``callback(pipeline, step, timestep, tensors)`` after each step; what it
                returns for ``latents`` (V, C, h, w) takes their place. It may set ``pipeline._interrupt``.
            callback_on_step_end_tensor_inputs: the tensors it gets.
        """
        with self.fixed_device(), self.engine_threads():
            # 1. Check what came in.
            if len(poses) != len(known_latents) + len(frame_indices) or not len(frame_indices):
                got = f"{len(poses)} poses for {len(known_latents)} known and {len(frame_indices)} new frames"
                raise Mismatch("window", got, "give one pose per frame and at least one new frame")
            check_scheduler(self.scheduler, self._learned)
            w1, w2 = self._guidance_scale = tuple(guidance_scale or self.config.guidance)
            rule = guidance_rule or self.config.guidance_rule
            if rule not in RULES:
                raise BadValue("guidance_rule", f"got {rule!r}", f"choose from {', '.join(RULES)}")
            timesteps = schedule(self.scheduler, num_inference_steps or self.config.steps, self.device)
            after = self._step_end(callback_on_step_end, callback_on_step_end_tensor_inputs, timesteps)
            source = source.to(self.device, self.dtype)
            # 2. Conditions of all views.
            conditions = self.window_conditions(source, poses, known_latents, past)
            views = len(conditions.bits)
            # 3. Noise: of a new frame by its index; known views are noised copies of what they are.
            shape = tuple(source.latents.shape[1:])
            before = frame_indices[0] - len(known_latents)
            known = list(range(before, frame_indices[0])) if known_indices is None else list(known_indices)
            sources = views - len(known) - len(frame_indices)
            numbers = [*(_SOURCE + number for number in range(sources)), *known, *frame_indices]
            noise = frame_noise(seed, numbers, shape, device=self.device)  # (V, C, h, w)
            # 4. Sample.
            self._interrupt, self._num_timesteps = False, len(timesteps)
            denoise, calls = self._guided_denoiser(conditions, noise, w1, w2, rule), 0

            def counted(latents: Tensor, timestep: Tensor) -> Tensor:
                nonlocal calls
                calls += 1  # some solvers evaluate more than once a step
                return denoise(latents, timestep)

            try:
                with past or nullcontext():
                    latents = sample(
                        counted,
                        noise,
                        self.scheduler,
                        timesteps,
                        noises=lambda step: step_noise(seed, numbers, step, shape, device=self.device),
                        on_step=after,
                    )
            except Interrupted as stopped:
                latents = stopped.latents
            latents = latents[-len(frame_indices) :]
            # 5. Decode the new frames.
            frames = self.decode(latents if decode else latents[:0])
            # Otherwise diffusers would walk through all modules for nothing, every window.
            if self._offload_target is not None:
                self.maybe_free_model_hooks()
            return WindowOutput(frames, latents, calls * views * evaluations_per_step(w1, w2))

    def window_conditions(
        self,
        source: SourceConditions,
        poses: np.ndarray,
        known_latents: Sequence[Tensor],
        past: ViewMemory | None = None,
    ) -> WindowConditions:
        """Conditions of the window's views; the sources are the first where the views see each other, unless ``past``
        holds them already."""
        if past is not None and not self.slides:
            raise Unsupported("window", f"one that slides, for {self.name}", "leave past out: it needs views that see "
                              "each other, and not torch.compile")  # fmt: skip
        if past is not None and not past.views:
            self.engine.slide(len(source.latents), source.tokens.shape[1])
        if self.guided and poses.shape[-1] == POSE:  # beside the sources', which have guides, all need them
            poses = np.concatenate([poses, self.no_poses(len(poses))[..., POSE:]], -1)
        given: list[Tensor] = [latent[None] for latent in known_latents]
        if self.couples_views and not (past is not None and past.views):
            own = self.no_poses(len(source.latents))  # no part of the driving signal
            if self.config.source_poses and source.poses is not None:
                own[..., :POSE] = source.poses
            poses = np.concatenate([own, poses])
            given = [source.latents, *given]
        elif given and not self.couples_views:
            got = f"{len(known_latents)} known frames"
            raise Unsupported("window", got, "give none: the views of this model do not see each other")
        count = sum(len(latents) for latents in given)
        bits = torch.arange(len(poses)) < count
        clean = source.latents[:1].repeat(len(poses), 1, 1, 1)
        if given:
            clean[:count] = torch.cat(given)
        known = flag = None
        if self.denoiser.known_input is not None:
            known, flag = self.denoiser.known_input.known_views(clean[None], bits[None], source.latents[:1])
        self._load_parts("denoiser", "fusion")
        features, fusion = self.engine.conditions(poses, source.embedding)
        return WindowConditions(features, source.tokens, fusion, known, flag, clean, bits.to(self.device), past)

    def _guided_denoiser(
        self, conditions: WindowConditions, noise: Tensor, w1: float, w2: float, rule: str = "fpdm"
    ) -> Denoise:
        """The guided denoiser, float32 (V, C, h, w) and a timestep -> float32 prediction (V, C, h, w)."""
        bits = conditions.bits[:, None, None, None]

        def denoise(latents: Tensor, timestep: Tensor) -> Tensor:
            noisy = torch.where(bits, noised(self.scheduler, conditions.clean, noise, timestep), latents)
            return guided(lambda name: self.engine.denoise(noisy, timestep, conditions.branch(name, rule)), w1, w2)

        return denoise

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> np.ndarray:
        """(N, C, h, w) -> uint8 (N, H, W, 3)."""
        if not len(latents):
            return np.empty((0, *self.frame_size[::-1], 3), np.uint8)
        self._load_parts("vae")
        return self.engine.frames(latents)

    # -- the backdrop ----------------------------------------------------------------------------------------------

    @property
    def composes(self) -> bool:
        """True if frames get the source's own backdrop."""
        return self.matte is not None and self.composer is not None

    @torch.inference_mode()
    def encode_backdrop(
        self,
        image: np.ndarray,
        pose: np.ndarray | None = None,
        points: np.ndarray | None = None,
        around: np.ndarray | None = None,
    ) -> Backdrop:
        """What is behind the source person.

        Args:
            image: uint8 (H, W, 3), of `frame_size`.
            pose: uint8 (H', W', 3), of `canvas_size`: the source person's own pose; None: not known.
            points: (133, 3), their keypoints in pixels of the image, and confidence; None: not known.
            around: bool (H, W), what may show the person; elsewhere it must be sure that something does.
        """
        canvas = self._on_canvas(image)
        drawn = torch.zeros_like(canvas) if pose is None else pixels(pose[None], self.device).to(canvas.dtype)
        self._load_parts("matte")
        matte = torch.sigmoid(self.matte(canvas, drawn).float())  # (1, 1, H', W')
        if around is not None:
            near = fit_frames(torch.from_numpy(around)[None, None].to(matte))
            matte = torch.where(_gone_on(near, matte) | (matte > _SURE), matte, 0)
        found = from_canvas(matte, *self.frame_size)[0, 0].mul(255).round().byte().cpu().numpy()
        hidden = torch.from_numpy(hidden_by(found, points))[None, None].to(matte)
        covered = functional.max_pool2d(torch.maximum(matte, fit_frames(hidden)), 2 * _HALO + 1, 1, _HALO)
        return Backdrop(fill_plate(canvas.float(), covered, _CLEAR), found)

    def plate_of(self, backdrop: Backdrop) -> np.ndarray:
        """uint8 (H, W, 3), the backdrop without anybody."""
        return to_frames(from_signed(from_canvas(backdrop.plate, *self.frame_size)))[0]

    @torch.inference_mode()
    def compose(
        self,
        frames: np.ndarray,
        poses: np.ndarray,
        points: np.ndarray,
        backdrop: Backdrop,
        sources: Sequence[SourceRegions] = (),
    ) -> tuple[np.ndarray, np.ndarray]:
        """The frames before the source's backdrop, with the source's own pixels where it shows what is wanted.

        Faces stay as they were painted: the source's would have its mouth and eyes, where the face refiner has better
        means to take them over.

        Args:
            frames, points, sources: see `refine`.
            poses: uint8 (T, H', W', 3 or more) of `canvas_size`, as the window saw them.
            backdrop: from `encode_backdrop`.

        Returns:
            uint8 (T, H, W, 3), and how far each pixel is the person, uint8 (T, H, W).
        """
        if poses.shape[-1] == POSE:
            poses = np.concatenate(
                [poses, draw_guides(points, None, sources, self.frame_size, self.canvas_padding)], -1
            )
        self._load_parts("composer")
        body = poses[:, ::2, ::2, BODY]
        if self.composer.config.arms:
            body = with_arms(body, points, sources, self.canvas_padding)
        made, mattes = self.engine.compose(frames, backdrop.plate, body, poses[..., :POSE])
        return keep_faces(made, frames, mattes, points), mattes

    # -- hands and faces -------------------------------------------------------------------------------------------

    @property
    def refiners(self) -> dict[str, RegionRefiner]:
        """The refiners that this model has, by name."""
        return {name: part for name in REFINERS if (part := getattr(self, name)) is not None}

    @property
    def shutter(self) -> float:
        """Share of a frame's time over which fast hands are smeared for the refiners, unless a render says another."""
        if self.config.shutter is not None:
            return float(self.config.shutter)
        return max((float(part.config.shutter) for part in self.refiners.values()), default=0.0)

    @torch.inference_mode()
    def refine(
        self,
        frames: np.ndarray,
        poses: np.ndarray,
        points: np.ndarray,
        solid: np.ndarray | None = None,
        sources: Sequence[SourceRegions] = (),
        mattes: np.ndarray | None = None,
    ) -> np.ndarray:
        """The frames with hands and faces painted again, uint8 (T, H, W, 3).

        Args:
            frames: uint8 (T, H, W, 3), as `__call__` gives them.
            poses: uint8 (T, H', W', 3) of `canvas_size`, their pose images.
            points: (T, 133, 3), their keypoints: x and y in pixels of the frame, confidence.
            solid: uint8 (T, H, W, 6), the hands fitted to them (`signgen.pose_image.solid.SolidHands.pictures`), fast
                ones smeared as the refiners know them (`SolidHands.smeared`, `shutter`).
            sources: what the source pictures show of hands and face, of those whose keypoints are known.
            mattes: uint8 (T, H, W), from `compose`: nothing changes away from the person and the fitted hands.
        """
        left, right, top, bottom = self.canvas_padding
        height, width = frames.shape[1:3]
        poses = poses[:, top : top + height, left : left + width, :POSE]
        refined = []
        for name, network in self.refiners.items():
            side = network.config.side
            crops = region_crops(REFINERS[name], side, frames, poses, points, solid, sources, self.device)
            if len(crops.which):
                self._load_parts(name)
                refined.append((crops, self.engine.refine(name, crops.inputs)))
        if not refined:
            return frames
        return paste(frames, refined, None if mattes is None else person_reach(mattes, solid))

    @property
    def guided(self) -> bool:
        """True if the denoiser reads guides behind its pose images, see `signgen.model.guide`."""
        return bool((self.denoiser.config.pose or {}).get("guide"))

    def with_guides(
        self, poses: np.ndarray, points: np.ndarray, solid: np.ndarray | None, sources: Sequence[SourceRegions]
    ) -> np.ndarray:
        """Pose images uint8 (N, H', W', 3) as this model takes them: with guides behind, where it reads any.

        Args:
            poses: of `canvas_size`. points, solid, sources: of these frames, see `refine`.
        """
        if not self.guided:
            return poses
        guides = draw_guides(points, solid, sources, self.frame_size, self.canvas_padding)
        return np.concatenate([poses, guides], -1)

    def no_poses(self, count: int) -> np.ndarray:
        """What stands for ``count`` poses that are not told: black, and guides that say nothing."""
        width, height = self.canvas_size
        poses = np.zeros((count, height, width, POSE + (CHANNELS if self.guided else 0)), np.uint8)
        poses[..., POSE:] = NOTHING
        return poses


def _gone_on(near: Tensor, matte: Tensor) -> Tensor:
    """bool (1, 1, H, W): where the person is expected, and what is rather them than the wall beyond, without a gap: a
    raised sleeve is wider than the arm in it.
    """
    person = (matte > _RATHER).to(near)
    reached = near
    for _ in range(round(matte.shape[-2] * _SLEEVE)):
        reached = torch.maximum(near, functional.max_pool2d(reached, 3, 1, 1) * person)
    return reached > 0
