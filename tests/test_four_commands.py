"""prepare, and train for fusion, denoiser and video: the four commands of docs/train-phoenix14t.md, at tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml
from click.testing import CliRunner
from tiny_base_weights import DENOISER, write_base_weights

from signgen import config as configuration
from signgen.cli import main
from signgen.dataset.prepared import INDEX, Index
from signgen.model.networks.denoiser import Denoiser

PRESETS = Path(__file__).resolve().parent.parent / "signgen" / "presets" / "phoenix14t"
CANVAS = "80x104"  # 210x260 becomes 80x99 with five rows of padding
TINY = {
    "canvas": [80, 104], "image_encoder_size": 28, "steps": 2, "batch": 2, "threads": 1, "precision": "no",
    "tensorboard": False, "sheet_steps": 0, "log_steps": 1,
}  # fmt: skip
MODELS = {
    "denoiser": DENOISER,
    "video": {
        "source": {"semantic_dim": 12, "hidden": 10, "patch": 4, "positions": True}, "image_level": True,
        "fill": "zeros", "cross_view": {"heads": 2, "groups": 8, "attentions": 1, "ff_mult": 1, "max_views": 8},
    },
}  # fmt: skip


def signgen(*arguments: object) -> dict:
    """What a command prints with --json; nothing else may be on standard output."""
    done = CliRunner().invoke(main, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def write_preset(stage: str, folder: Path, start: dict[str, str], **changes: object) -> Path:
    """A preset's own losses, optimiser and kinds of weights with tiny networks, as a file."""
    content = configuration.read_yaml(PRESETS / f"{stage}.yaml")
    content |= TINY | {"output": str(folder / stage), "start": {**content["start"], **start}, **changes}
    content["optim"] = {**content["optim"], "accumulate": 1, "warmup": 1, "checkpointing": False}
    if stage in MODELS:
        content["model"] = MODELS[stage]
    path = folder / f"{stage}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def four_commands(data: Path, folder: Path, split: str, *more: object) -> Index:
    """The commands one after the other; each stage starts from those before it."""
    base, out = write_base_weights(folder / "base"), folder / "prepared"
    encoders = ["--vae", base["vae"], "--image-encoder", base["image_encoder"], "--image-encoder-size", 28]
    report = signgen("prepare", data, out, "--split", split, "--canvas", CANVAS, "--jobs", 1, *encoders, *more)
    assert report["splits"][split]["shards_left"] == {"frames": 0, "latents": 0, "tokens": 0}
    given = {"vae": base["vae"], "image_encoder": base["image_encoder"]}
    fusion = {"fusion": str(folder / "fusion/model/fusion")}
    starts = {
        "fusion": {"clip": base["clip"]},
        "denoiser": given | fusion | {"unet": base["unet"]},
        "video": given | fusion | {"denoiser": str(folder / "denoiser/model/denoiser")},
    }
    for stage, start in starts.items():
        views = {"views": 3} if stage == "video" else {}
        path = write_preset(stage, folder, start, data=str(out), split=split, **views)
        assert signgen("doctor", "--config", path)["needs"]
        assert signgen("train", path)["finished"]
        lines = [json.loads(line) for line in (folder / stage / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [1, 2]
        assert all(np.isfinite(line["loss"]) for line in lines), stage
    stored = sorted(path.name.split("-")[0] for path in (out / split).glob("*-*"))
    assert stored == ["latents", "tokens"], "training finds what prepare made, and makes none of its own"
    return Index.load(out / split / INDEX)


def test_on_drawn_signers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    signgen("synthesize", data, "--clips", 2, "--signers", 1, "--frames-per-clip", 8, "--seed", 3, "--jobs", 1)
    index = four_commands(data, tmp_path, "train", "--triplets", 40, "--sources", 2)
    assert (len(index.clips), index.frames) == (2, 16)
    denoiser = Denoiser.from_pretrained(tmp_path / "video/model/denoiser")
    assert denoiser.unet.conv_in.in_channels == 9
    assert denoiser.config.cross_view["max_views"] == 8


def test_on_real_frames(shared: Path, tmp_path: Path) -> None:
    """Two clips of the release; its sample has a test split alone."""
    data = shared / "data" / "phoenix14t_mini"
    keypoints = data / "keypoints_mediapipe"
    index = four_commands(data, tmp_path, "test", "--keypoints", keypoints)
    assert (len(index.clips), index.frames, index.size) == (2, 58, (210, 260))
