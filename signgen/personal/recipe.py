"""What is trained for one person, with which settings, and for how long: the stages of `signgen.training`, shorter.

The autoencoder's decoder first, for all that follows looks through it; then, where there is time for it, the whole
denoiser, as a student that renders in one step, in windows as long as a render's; then the refiners of hands and face,
on what both of them paint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signgen import config as configuration
from signgen.errors import BadValue, NotFound, Unsupported
from signgen.model.loading import model_folder, parts_of
from signgen.model.networks.weight_files import read_settings, read_tensors
from signgen.training.config import TrainConfig
from signgen.training.loop import named_after_none

DENOISER = "distill"
STAGES = ("autoencoder", DENOISER, "hand_refiner", "face_refiner")
PARTS = {"autoencoder": "vae", "distill": "denoiser"} | {name: name for name in STAGES[2:]}  # that they train
PRESETS = {"autoencoder": "mini/autoencoder", "distill": "mini/distill", "hand_refiner": "mini/hand_refiner",
           "face_refiner": "mini/face_refiner"}  # fmt: skip
# Share of the time of each stage; the rest is for reading, drawing, painting and scoring.
SHARES = {"autoencoder": 0.07, "distill": 0.26, "hand_refiner": 0.14, "face_refiner": 0.3}
RATES = {"autoencoder": 3e-4, "distill": 1e-4, "hand_refiner": 1e-4, "face_refiner": 6e-4}
BATCHES = {"face_refiner": 12}  # glasses are learned sooner by more and faster steps; others have the preset's
FRAMES_A_MINUTE, FEWEST_FRAMES, MOST_FRAMES = 25, 256, 1536  # learned from; painting more takes the time of training
SCORED_A_MINUTE, FEWEST_SCORED, MOST_SCORED = 10, 100, 300  # frames that are scored, twice: they cost time of learning
DRAWN_FRAMES, DRAWN_PEOPLE = 42, 24  # of a drawn clip; who take turns in them
PROBED = 0.2  # share of a stage's time after which it is known how many steps there can be
OPEN_END = 1_000_000  # steps until then, so that the rate does not fall yet
WARMUP, AVERAGED = 5, 0.98  # steps; the weights' average
FEWEST_STEPS = 6
FEW_STEPS = 20  # of a stage, that hardly change anything
FRAMES_A_STEP = 90  # rendered in the time of one step of the denoiser, where most: 29 to 95 on three machines
# What is made of each frame that is learned from, and likewise of what is drawn beside it, in frames: itself and two
# copies, twice painted, crops; and bytes of checkpoints, of a model as large as `mini`.
FRAMES_KEPT, CHECKPOINTS_KEPT = 9.6, 6e8
FIXED = ("steps", "minutes", "output", "data", "cache", "split", "stage")  # of a stage: these follow from the recipe


@dataclass(frozen=True)
class Recipe:
    """How a model learns a person.

    Attributes:
        minutes: of everything together, about.
        held_out: share of the video at its end that is not learned from.
        sources: pictures of the person that the model keeps.
        drawn: share of the frames that are drawn people's, against forgetting.
        seed: of everything random.
        stages: what is trained, of `STAGES`, in their order.
        settings: further ones, ``stage.key=value``, such as ``distill.optim.lr=2e-4``.
    """

    minutes: float = 60.0
    held_out: float = 0.2
    sources: int = 4
    drawn: float = 0.2
    seed: int = 0
    stages: tuple[str, ...] = STAGES
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        allowed = {"minutes": (0.1, 10_000), "held_out": (0.02, 0.8), "sources": (1, 8), "drawn": (0, 0.5)}
        for name, (low, high) in allowed.items():
            value = getattr(self, name)
            if name != "sources":  # 60 and 60.0 are one recipe
                value = float(value)
                object.__setattr__(self, name, value)
            if not (math.isfinite(value) and low <= value <= high):
                raise BadValue(f"--{name.replace('_', '-')}", f"got {value}", f"allowed are {low} to {high}")
        if not self.stages or set(self.stages) - set(STAGES):
            got = ", ".join(map(repr, self.stages)) or "none"
            raise BadValue("--stages", f"got {got}", f"name some of {', '.join(STAGES)}")
        for setting in self.settings:
            stage, _, key = setting.partition("=")[0].partition(".")
            if stage not in STAGES or "=" not in setting:
                advice = f"write STAGE.KEY=VALUE, with a stage of {', '.join(STAGES)}"
                raise BadValue("--set", f"got {setting!r}", advice)
            if stage not in self.stages:
                raise BadValue("--set", f"got {setting!r}, and {stage} is not trained", "leave it out, or see --stages")
            if key in FIXED:
                raise BadValue("--set", f"got {setting!r}", f"{key} follows from --minutes, VIDEO and --output")

    @property
    def frames(self) -> int:
        """How many frames of the person are learned from, at most."""
        return int(min(max(FRAMES_A_MINUTE * self.minutes, FEWEST_FRAMES), MOST_FRAMES))

    @property
    def scored(self) -> int:
        """How many frames of the held-out part are scored, at most."""
        return int(min(max(SCORED_A_MINUTE * self.minutes, FEWEST_SCORED), MOST_SCORED))

    def bytes_needed(self, canvas: tuple[int, int]) -> int:
        """Room on the disk for what is made on the way, beside the video, about; for frames of ``canvas``."""
        frames = self.frames / (1 - self.drawn)
        return round(frames * canvas[0] * canvas[1] * 3 * FRAMES_KEPT + CHECKPOINTS_KEPT)

    def drawn_clips(self, own: int) -> int:
        """How many clips are drawn beside ``own`` frames of the person and the copies of them."""
        return math.ceil(self.drawn / (1 - self.drawn) * own / DRAWN_FRAMES)


def stages_of(model: str | Path, wanted: Sequence[str] = STAGES) -> tuple[str, ...]:
    """Those of the ``wanted`` stages that can train a model's parts; of all stages, those whose parts it has.

    Raises:
        Unsupported: its autoencoder or its denoiser is none of those that the stages know, or it lacks a part of a
            stage that was chosen.
    """
    folder, advice = model_folder(model), "start from mini or its like"
    kind = read_settings(folder / "vae").get("_class_name")
    if kind != "FrameAutoencoder" or "fusion" not in parts_of(folder, ["fusion"]):
        raise Unsupported(model, "its autoencoder or fusion model is not signgen's own", advice)
    able = [stage for stage in STAGES if stage in wanted]
    able = [stage for stage in able if not stage.endswith("_refiner") or (folder / stage).is_dir()]
    if lacking := [stage for stage in wanted if stage not in able and tuple(wanted) != STAGES]:
        raise Unsupported("--stages", f"got {','.join(lacking)}, and {model} has no such part", advice)
    return tuple(able)


def check_settings(recipe: Recipe, model: str | Path, stages: Sequence[str], work: Path) -> None:
    """What would end a stage is said before the first one begins.

    Raises:
        InputError: a setting that cannot be, or that does not go with another stage's.
    """
    configs = {stage: stage_config(stage, recipe, model, work, work, OPEN_END) for stage in stages}
    for stage, config in configs.items():
        for name, place in config.start.items():
            if not (Path(place).is_dir() or Path(place).is_relative_to(work)):
                raise NotFound(f"{stage}.start.{name}", f"no trained {name} at {place}", "name its folder")
        if only := config.optim.only:
            names = _weight_names(model_folder(model) / PARTS[stage])
            if not any(part in name for part in only for name in names):
                raise named_after_none(only, names[0], f"{stage}.optim.only")
    for key in ("precision", "disturbance"):  # of one process, and of what both refiners see painted
        those = [stage for stage in stages if key == "precision" or stage.endswith("_refiner")]
        for stage in those[1:]:
            if getattr(configs[stage], key) != getattr(configs[those[0]], key):
                got = f"{those[0]} and {stage} have others"
                raise BadValue(f"{stage}.{key}", got, f"set it for {', '.join(those)} alike")


def _weight_names(part: Path) -> list[str]:
    return [name for path in sorted(part.glob("*.safetensors")) for name in read_tensors(path)]


def worth_their_time(recipe: Recipe, stages: tuple[str, ...], left: float, a_frame: float) -> tuple[str, ...]:
    """The stages, without the denoiser's where its share of the time is too short for `FEW_STEPS` steps: the refiners
    learn more of the person in it. It stays where it was asked for: by fewer stages than all, or a setting of it.

    Args:
        left: seconds for the stages and what is behind them.
        a_frame: seconds in which a frame is rendered, before anything is learned.
    """
    asked = recipe.stages != STAGES or any(setting.startswith(f"{DENOISER}.") for setting in recipe.settings)
    if asked or DENOISER not in stages or len(stages) == 1:
        return stages
    for stage in stages[: stages.index(DENOISER)]:
        left -= time_for(stage, stages, left)
    enough = time_for(DENOISER, stages, left) >= FEW_STEPS * FRAMES_A_STEP * a_frame
    return stages if enough else tuple(stage for stage in stages if stage != DENOISER)


def stage_config(
    stage: str, recipe: Recipe, model: str | Path, work: Path, data: Path, steps: int, **changes: Any
) -> TrainConfig:
    """The configuration of one stage.

    Args:
        model: what the person's model starts from.
        work: the folder of the runs; earlier stages' parts are taken from there.
        data: the folder whose ``cache`` holds the frames.
    """
    base = model_folder(model)
    decoder = work / "autoencoder" / "model" / "vae"
    vae = decoder if decoder.is_dir() else base / "vae"
    fusion = parts_of(base, ["fusion"])["fusion"]
    starts: dict[str, Mapping[str, Any]] = {
        "autoencoder": {"encoder": str(base / "vae")},
        "distill": {"autoencoder": str(vae), "fusion": str(fusion), "denoiser": str(base / "denoiser")},
        "hand_refiner": {"model": str(work / "coarse"), "hand_refiner": str(base / "hand_refiner")},
        "face_refiner": {"model": str(work / "coarse"), "face_refiner": str(base / "face_refiner")},
    }
    own = {"autoencoder": network_settings(base / "vae")}
    content = configuration.read_yaml(PRESETS[stage])
    content |= {
        "data": str(data), "output": str(work / stage), "start": dict(starts[stage]), "steps": steps,
        "seed": recipe.seed, "model": own.get(stage, {}), "sheet_steps": 0, "save_minutes": 2.0, "tensorboard": False,
    }  # fmt: skip
    content["batch"] = BATCHES.get(stage, content["batch"])
    content["optim"] = {**content["optim"], "lr": RATES[stage], "warmup": WARMUP, "ema": AVERAGED}
    given = [setting.partition(".")[2] for setting in recipe.settings if setting.startswith(f"{stage}.")]
    merged = configuration.merge(content, given) | changes
    return configuration.build(TrainConfig, merged, f"personalise, stage {stage}")


def network_settings(folder: Path) -> dict[str, Any]:
    """What a part of a model was made with."""
    return {key: value for key, value in read_settings(folder).items() if not key.startswith("_")}


def steps_for(seconds: float, begun: Mapping[str, Any]) -> int:
    """Steps that fit into a time, by what the first of them took."""
    each = begun["seconds"] / max(begun["steps"], 1)
    return max(int(seconds / max(each, 1e-6)), begun["steps"] + 1, FEWEST_STEPS)


def time_for(stage: str, stages: Sequence[str], left: float) -> float:
    """Seconds of a stage, of those that are left for it, the stages behind it, and what lies between and behind."""
    behind = stages[stages.index(stage) :]
    waiting = (1 - sum(SHARES.values())) * len(behind) / len(stages)
    return left * SHARES[stage] / (sum(SHARES[name] for name in behind) + waiting)
