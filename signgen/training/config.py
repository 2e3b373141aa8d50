"""The configuration of a training run. Presets are YAML files in ``signgen/presets``; see `signgen.config`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from signgen.config import check_keys
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.phoenix import SPLITS
from signgen.errors import BadValue
from signgen.model.diffusion.guidance import RULES
from signgen.model.networks.canvas import fit_canvas
from signgen.pose_image import BODY_STYLES
from signgen.training.stages import STAGES

STARTS = (
    "autoencoder", "encoder", "fusion", "denoiser", "vae", "unet", "clip", "image_encoder", "model", "hand_refiner",
    "face_refiner", "matte", "composer",
)  # fmt: skip
OPTIMIZERS = ("adamw", "muon")
PREDICTIONS = ("v_prediction", "sample")  # what means something at a zero terminal SNR
POSE_STYLES = ("signgen", *BODY_STYLES)
MASKS = ("window", "imagpose", "mixed")
MOST_AHEAD = 64  # batches in memory; a batch of 42 frames of 210x260 and their pose images takes 35 MB
LEAST_CROP, LEAST_ZOOM = 32, 48  # pixels: without their margins, a window of SSIM fits in
MOST_STEPS = 50  # of a student; a walk along its own estimates is made in each step of training


@dataclass(frozen=True)
class OptimConfig:
    """AdamW or Muon with warm-up, a plateau, and a linear decay over the last ``decay`` share of the steps.

    A plateau instead of a cosine, so that a run can be extended from any checkpoint without changing its past.

    Attributes:
        kind: ``adamw``, or ``muon`` for kernels with AdamW for the rest; see `signgen.training.optimizers`.
        checkpointing: activations are computed again in the backward pass instead of kept: less memory, a third more
            work.
        only: parts of the names of weights, such as ``attn``: the others stay as they are. Empty: all are trained.
    """

    kind: str = "adamw"
    lr: float = 6e-4
    weight_decay: float = 0.01
    warmup: int = 100
    decay: float = 0.3
    ema: float = 0.997
    clip: float = 1.0
    accumulate: int = 1
    checkpointing: bool = False
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in OPTIMIZERS:
            raise BadValue("optim.kind", f"got {self.kind!r}", f"it is one of {', '.join(OPTIMIZERS)}")
        _check_least("optim", self, 0, "weight_decay", "warmup")
        _check_least("optim", self, 1, "accumulate")
        if not self.lr > 0 or not self.clip > 0:
            raise BadValue("optim.lr, optim.clip", f"got {self.lr}, {self.clip}", "both must be above 0")
        if not 0 <= self.decay <= 1 or not 0 <= self.ema < 1:
            advice = "shares: the first from 0 to 1, the second below 1"
            raise BadValue("optim.decay, optim.ema", f"got {self.decay}, {self.ema}", advice)


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the loss.

    Attributes:
        hand, face: peak weight of the latent loss at hands and face, 1 elsewhere.
        latent: weight of the denoising loss in latent space.
        pixel: weight of the loss through the frozen decoder on crops around the hands; 0 leaves it out.
        structure: weight, within the pixel loss, of 1 - SSIM beside L1 and gradients.
        crop: side of these crops in pixels, a multiple of 8; crops: how many an item; two show both hands.
        zooms: further items of a batch that are crops, mostly of hands, without the rest of their frame: a hand costs
            a third of what it costs in a whole frame. zoom: side of these crops in pixels, a multiple of 8.
        last_step_share: share of windows at the last timestep, where the input is pure noise. With a zero terminal
            SNR that one step is a direct prediction, so this is what a one-step render uses.
        noise_offset: deviation of one more number for each latent channel that is added to the noise (FPDM's code: 0.1,
            IMAGPose's: 0.05), so that a schedule without a zero terminal SNR learns overall brightness, too.
        late: timesteps other than the last are drawn as u ** late, u even in [0, 1): 1 is even (the papers), less
            means late ones more often.
        min_snr: gamma of min-SNR weighting (Hang et al. 2023); 0 weighs all timesteps alike.
        null_share: windows with every condition dropped; drop: share that loses each of pose, source and fusion.
        guidance_rule: how the model is to be guided, see `signgen.model.diffusion.guidance`: ``fpdm``, or ``imagpose``,
            whose null branch keeps the poses; then ``drop`` and ``null_share`` leave these alone.
        temperature: tau of InfoNCE (FPDM eq. 3, 6). source_enhanced: eq. 6 instead of eq. 3.
        l1: weight of mean |e_s - e_f| beside InfoNCE, which FPDM's code has with 1e-4 and its paper has not.
        mask_near: frames of one clip closer than this are no negatives of each other.
        per_clip: triplets of a fusion batch that come from one clip. With many clips and 1, the person alone tells a
            target from the others and the embedding learns no pose: they must differ in pose alone, too.
        student_steps: how many evaluations a frame the student is made for; each window draws one of these numbers, so
            one that is given twice is drawn twice as often.
        teacher: share of windows that learn from the guided teacher, 0 to 1; the others learn from the truth.
        teacher_steps: DDIM steps of the teacher for one of the student's. guidance: its w1, w2 (FPDM eq. 12).
    """

    hand: float = 5.0
    face: float = 2.5
    latent: float = 1.0
    pixel: float = 0.0
    structure: float = 0.0
    crop: int = 96
    crops: int = 1
    zooms: int = 0
    zoom: int = 112
    last_step_share: float = 1.0
    late: float = 0.7
    noise_offset: float = 0.0
    min_snr: float = 0.0
    null_share: float = 0.0
    drop: float = 0.0
    guidance_rule: str = "fpdm"
    temperature: float = 0.07
    source_enhanced: bool = True
    l1: float = 0.0
    mask_near: int = 3
    per_clip: int = 1
    student_steps: tuple[int, ...] = (1, 2, 4)
    teacher: float = 0.0
    teacher_steps: int = 4
    guidance: tuple[float, ...] = (2.0, 2.0)

    def __post_init__(self) -> None:
        _check_least("loss", self, 0, "latent", "pixel", "structure", "min_snr", "noise_offset", "l1")
        _check_least("loss", self, 0, "mask_near", "zooms")
        _check_least("loss", self, 1, "hand", "face", "crops", "per_clip")
        for name, least in (("crop", LEAST_CROP), ("zoom", LEAST_ZOOM)):
            if getattr(self, name) < least or getattr(self, name) % 8:
                got = f"got {getattr(self, name)}"
                raise BadValue(f"loss.{name}", got, f"give pixels, a multiple of 8 and {least} or more")
        if not self.late > 0 or not self.temperature > 0:
            got = f"got {self.late}, {self.temperature}"
            raise BadValue("loss.late, loss.temperature", got, "both must be above 0")
        if self.guidance_rule not in RULES:
            raise BadValue("loss.guidance_rule", f"got {self.guidance_rule!r}", f"choose from {', '.join(RULES)}")
        for name in ("last_step_share", "null_share", "drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadValue(f"loss.{name}", f"got {getattr(self, name)}", "it is a share, from 0 to 1")


@dataclass(frozen=True)
class TrainConfig:
    """One stage of training.

    Attributes:
        stage: what trains: autoencoder, fusion, denoiser, video, distill, matte, composer, hand_refiner, face_refiner.
        data: a data set in PHOENIX14T's layout with ``keypoints/``, or what `signgen prepare` wrote; split: the part of
            it that is trained on. output: folder of the run.
        model: settings of the stage's own network, passed to its constructor.
        start: what this stage builds on. Folders of earlier stages: autoencoder, fusion, denoiser, matte, composer, a
            refiner; model: the name or folder of the whole model whose frames a refiner or the composer is to mend, or
            from whose parts a denoiser, its autoencoder and fusion model among them, starts.
            Base weights, each a folder or a hub id: vae (instead of autoencoder), unet, clip, image_encoder; see
            `signgen.model.published_weights`. null takes an entry out.
        allow_download: base weights that are not on this machine may be fetched from the hub.
        pose_style: how poses are drawn, see `signgen.pose_image`; the model is saved with it. Weights of one style
            expect it.
        canvas: (W, H) that frames are scaled to, aspect kept, then padded; None: frames as they are, padded.
        image_encoder_size: side of the letter-boxed square that ``start.image_encoder`` reads.
        cache: folder for the decoded frames and their latents; beside the data where it is empty.
        prefetch: batches that are made before they are needed; 0 makes each in its turn. loaders: threads that do so.
            Neither changes what a step sees. Each batch that waits takes memory.
        views, known: frames of a window, and how many of its first frames may be given as already rendered.
        views_in_turn: frames of a window in one step after the other, again and again, instead of ``views`` in all:
            short windows show many clips, and a render's windows should not be longer than the longest of training.
        masks: what is known of a window: ``window``, sources and the frames rendered before it; ``imagpose``, any
            number of any frames of a clip, whose others are to be painted (IMAGPose's T1, T2 and T3); ``mixed``, one of
            both by chance.
        sources: how many sources a window has, in one step after the other, again and again; they are its first views.
        source_poses: share of windows in which the sources' own poses are told, too; else these are black.
        prediction: what the denoiser is asked for: ``v_prediction`` or ``sample``, the clean latents. A small student
            of few steps does better with these: v asks it to copy the noise of its input, too.
        schedule: settings of diffusers' DDIMScheduler that shall be other than `signgen.training.denoiser.SCHEDULE`,
            such as ``{rescale_betas_zero_snr: false}``; the model is saved with them.
        minutes: stop (and save) after this wall time; 0 means when ``steps`` are done.
        tensorboard: write the log for TensorBoard too.
    """

    stage: str
    data: str
    output: str
    steps: int
    split: str = "train"
    cache: str = ""
    batch: int = 8
    views: int = 1
    known: int = 1
    views_in_turn: tuple[int, ...] = ()
    masks: str = "window"
    sources: tuple[int, ...] = (1,)
    source_poses: float = 0.0
    prediction: str = "v_prediction"
    schedule: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    minutes: float = 0.0
    save_minutes: float = 5.0
    log_steps: int = 20
    sheet_steps: int = 500
    threads: int = 0
    prefetch: int = 2
    loaders: int = 1
    precision: str = "auto"
    pose_style: str = "signgen"
    canvas: tuple[int, ...] | None = None
    image_encoder_size: int = 518
    allow_download: bool = False
    tensorboard: bool = True
    model: dict[str, Any] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    disturbance: Disturbance = field(default_factory=Disturbance)

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise BadValue("stage", f"got {self.stage!r}", f"stages are {', '.join(STAGES)}")
        if self.split not in SPLITS:
            raise BadValue("split", f"got {self.split!r}", f"splits are {', '.join(SPLITS)}")
        _check_least("", self, 1, "steps", "batch", "views", "log_steps")
        _check_least("", self, 0, "seed", "minutes", "save_minutes", "sheet_steps", "threads")
        if not 0 <= self.prefetch <= MOST_AHEAD or not 1 <= self.loaders <= MOST_AHEAD:
            allowed = f"the first is from 0, the second from 1 to {MOST_AHEAD}"
            raise BadValue("prefetch, loaders", f"got {self.prefetch}, {self.loaders}", allowed)
        if not all(count >= 1 for count in self.views_in_turn):
            raise BadValue("views_in_turn", f"got {list(self.views_in_turn)}", "each must be 1 or more")
        fewest = min(self.views_in_turn, default=self.views)
        if not 0 <= self.known < max(fewest, 2):
            raise BadValue("known", f"got {self.known} of {fewest} views", "at least one view is to be generated")
        if self.masks not in MASKS:
            raise BadValue("masks", f"got {self.masks!r}", f"choose from {', '.join(MASKS)}")
        if not self.sources or min(self.sources) < 1:
            raise BadValue("sources", f"got {list(self.sources)}", "each must be 1 or more")
        if not 0 <= self.source_poses <= 1:
            raise BadValue("source_poses", f"got {self.source_poses}", "it is a share, from 0 to 1")
        if self.prediction not in PREDICTIONS:
            raise BadValue("prediction", f"got {self.prediction!r}", f"it is one of {', '.join(PREDICTIONS)}")
        named = {name: where for name, where in self.start.items() if where is not None}
        object.__setattr__(self, "start", named)  # null takes an entry out, so that an override can
        check_keys("start", self.start, STARTS)
        if self.pose_style not in POSE_STYLES:
            raise BadValue("pose_style", f"got {self.pose_style!r}", f"choose from {', '.join(POSE_STYLES)}")
        if self.image_encoder_size < 14:
            raise BadValue("image_encoder_size", f"got {self.image_encoder_size}", "give pixels, 14 or more")
        if self.precision not in ("auto", "no", "bf16", "fp16"):
            raise BadValue("precision", f"got {self.precision!r}", "it is one of auto, no, bf16, fp16")
        fit_canvas(1, 1, self.canvas)  # says what is wrong with the canvas
        if self.stage == "distill":
            _check_distillation(self.loss)

    def sources_of(self, step: int) -> int:
        """How many sources the windows of a step have."""
        return self.sources[step % len(self.sources)]

    def views_of(self, step: int) -> int:
        """Frames of a window in a step, the same in all processes, so that none waits for another."""
        lengths = self._lengths()
        return lengths[step % len(lengths)]

    def views_before(self, step: int) -> int:
        """Frames of one window of each step before ``step``, all together."""
        lengths = self._lengths()
        rounds, rest = divmod(step, len(lengths))
        return rounds * sum(lengths) + sum(lengths[:rest])

    def _lengths(self) -> tuple[int, ...]:
        return tuple(self.views_in_turn) or (self.views,)


def _check_least(group: str, settings: Any, least: int, *names: str) -> None:
    """`InputError` for a setting of a group below ``least``; what is no number is below everything."""
    for name in names:
        value = getattr(settings, name)
        if not value >= least:
            raise BadValue(f"{group}.{name}".strip("."), f"got {value}", f"it must be {least} or more")


def _check_distillation(loss: LossConfig) -> None:
    """What the student's stage needs; no condition is dropped, for a student runs without a null branch."""
    steps = loss.student_steps
    if not steps or not all(1 <= count <= MOST_STEPS for count in steps):
        raise BadValue("loss.student_steps", f"got {list(steps)}", f"give one or more numbers from 1 to {MOST_STEPS}")
    if not 0 <= loss.teacher <= 1 or loss.teacher_steps < 1 or len(loss.guidance) != 2:
        got = f"got {loss.teacher}, {loss.teacher_steps}, {list(loss.guidance)}"
        allowed = "a share from 0 to 1, 1 step or more, and two weights"
        raise BadValue("loss.teacher, loss.teacher_steps, loss.guidance", got, allowed)
    if loss.drop or loss.null_share:
        got = f"got {loss.drop}, {loss.null_share}"
        raise BadValue("loss.drop, loss.null_share", got, "a student always has its conditions: both must be 0")
