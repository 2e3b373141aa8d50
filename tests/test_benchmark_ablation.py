"""The ablation: variants differ as they say, begin alike, and the table compares them on the same clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benches import load
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import VISION, make_pipeline, picture, signing

from signgen import config as configuration
from signgen.errors import InputError
from signgen.model.networks.denoiser import Denoiser
from signgen.model.networks.fusion import FusionModel
from signgen.model.networks.wrist_finder import WristFinder
from signgen.training.config import TrainConfig
from signgen.training.inputs import FrozenEncoders, Inputs
from signgen.training.starts import grow

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "signgen/presets/mini"
FRAMES, SIZE = 5, (210, 260)
NO_CVA = "model.cross_view={levels: [], mid: false}"


# ---- the presets -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base() -> Denoiser:
    """The common start: mini's own preset, and what base.yaml changes about it."""
    torch.manual_seed(0)
    whole = Denoiser(**configuration.load(TrainConfig, CONFIGS / "denoiser.yaml").model)
    for parameter in whole.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.05)
    changes = configuration.load(TrainConfig, CONFIGS / "ablation/base.yaml").model
    return grow(whole, changes, lambda denoiser: None).eval()


def evaluate(denoiser: Denoiser, fusion: torch.Tensor, views: int = 2) -> torch.Tensor:
    """One evaluation of two small frames."""
    generator = torch.Generator().manual_seed(1)
    size = denoiser.config.cross_attention_dim
    with torch.no_grad():
        return denoiser(
            torch.randn(2, 16, 4, 4, generator=generator),
            999,
            pose=torch.rand(2, 3, 32, 32, generator=generator),
            tokens=torch.randn(1, 4, size, generator=generator),
            fusion=None if denoiser.config.fusion_dim is None else fusion,
            views=views,
        )


def variant(base: Denoiser, *settings: str) -> Denoiser:
    config = configuration.load(TrainConfig, CONFIGS / "ablation/variant.yaml", settings)
    return grow(base, config.model, lambda denoiser: None).eval()


def test_variants_without_fusion_embedding_begin_as_the_common_start_does(base: Denoiser) -> None:
    fusion = torch.randn(2, 192, generator=torch.Generator().manual_seed(2))
    wanted = evaluate(base, fusion)
    for settings in (("model.fusion_dim=null",), ("model.fusion_dim=null", NO_CVA)):
        torch.testing.assert_close(evaluate(variant(base, *settings), fusion), wanted)


def test_only_cross_view_attention_lets_views_see_each_other(base: Denoiser) -> None:
    fusion = torch.randn(2, 192, generator=torch.Generator().manual_seed(2))
    for settings, sees in (((), True), ((NO_CVA,), False)):
        denoiser = variant(base, *settings)
        for name, weight in denoiser.named_parameters():
            if "cross_view.proj_out" in name:
                torch.nn.init.normal_(weight)
        together, alone = evaluate(denoiser, fusion), evaluate(denoiser, fusion, views=1)
        assert torch.allclose(together, alone, atol=1e-4) != sees


def test_only_b3_is_blind_to_the_embedding(base: Denoiser) -> None:
    one, other = torch.randn(2, 2, 192, generator=torch.Generator().manual_seed(3))
    whole = variant(base)
    assert not torch.allclose(evaluate(whole, one), evaluate(whole, other), atol=1e-4)
    assert variant(base, "model.fusion_dim=null").unet.class_embedding is None


def test_b4_embeds_the_source_alone() -> None:
    model = FusionModel(vision=VISION, combine=False).eval()
    generator = torch.Generator().manual_seed(0)
    source, pose, other = (torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(3))
    with torch.no_grad():
        embedded = model(source, pose)
        assert torch.equal(embedded, model(source, other))
        assert not torch.allclose(embedded, model(other, pose), atol=1e-4)
        fused = model.fuse(model.encode(source), torch.cat([pose, other]))
    torch.testing.assert_close(fused, embedded.expand(2, -1))
    assert embedded.norm().item() == pytest.approx(1)
    assert not any(name.startswith("combiner") for name in model.state_dict())


def test_training_does_without_what_a_variant_lacks() -> None:
    """B3 takes neither a fusion embedding nor the encoder's tokens, though the inputs of training hold both."""
    from signgen.training.denoiser import DenoiserStep

    settings = dict(make_pipeline().denoiser.config)
    settings = {key: value for key, value in settings.items() if not key.startswith("_")}
    settings |= {"fusion_dim": None, "source": {"patch": 1, "positions": True}}
    step = DenoiserStep(Denoiser(**settings))
    inputs = Inputs(
        latents=torch.zeros(2, 16, 4, 4), source=torch.zeros(1, 1, 16, 4, 4), semantic=torch.zeros(1, 1, 5, 16),
        fusion=torch.zeros(2, 16), pose=torch.zeros(2, 3, 32, 32), known=torch.zeros(2, 16, 4, 4),
        flag=torch.zeros(2, 1, 4, 4),
    )  # fmt: skip
    assert step(inputs, torch.zeros(2, 16, 4, 4), torch.full((2,), 999), None, 2).shape == (2, 16, 4, 4)


def test_fusion_presets_have_one_encoder_and_differ_as_they_say() -> None:
    whole = configuration.read_yaml(CONFIGS / "fusion.yaml")
    names = ("source", "baseline", "enhanced")
    b4, b5, b6 = (configuration.read_yaml(CONFIGS / f"ablation/{name}.yaml") for name in names)
    assert b6["model"] == whole["model"]
    for preset in (b4, b5, b6):
        assert preset["model"]["grid"] == whole["model"]["grid"]
        assert [preset[key] for key in ("steps", "batch", "optim")] == [b6[key] for key in ("steps", "batch", "optim")]
    assert b5.pop("output") != b6.pop("output")
    assert (b5["loss"].pop("source_enhanced"), b6["loss"].pop("source_enhanced")) == (False, True)
    assert b5 == b6


def test_denoiser_presets_take_what_the_fusion_presets_make(base: Denoiser) -> None:
    for name in ("fusion", "ablation/source", "ablation/baseline", "ablation/enhanced"):
        fusion = FusionModel(**configuration.load(TrainConfig, CONFIGS / f"{name}.yaml").model)
        whole = Denoiser(**configuration.load(TrainConfig, CONFIGS / "denoiser.yaml").model)
        for denoiser in (whole, base, variant(base), variant(base, "model.fusion_dim=null")):
            FrozenEncoders(fusion, None).serve(denoiser)


# ---- the benchmark ---------------------------------------------------------------------------------------------------


def write_clips(folder: Path, split: str, count: int = 2) -> None:
    """A data set of clips of noise over a picture, with somebody's keypoints."""
    release = folder / "PHOENIX-2014-T-release-v3" / "PHOENIX-2014-T"
    corpus = release / "annotations" / "manual" / f"PHOENIX-2014-T.{split}.corpus.csv"
    for made in (corpus.parent, folder / "keypoints"):
        made.mkdir(parents=True, exist_ok=True)
    rows, rng = ["name|video|start|end|speaker|orth|translation"], np.random.default_rng(0)
    person = signing(FRAMES, SIZE)
    points = np.concatenate([person.xy, person.confidence[..., None]], -1)
    for name in (f"{split}{number}" for number in range(count)):
        rows.append(f"{name}|{name}/1/*.png|-1|-1|s01|A|a")
        frames = release / "features" / "fullFrame-210x260px" / split / name
        frames.mkdir(parents=True)
        for number in range(1, FRAMES + 1):
            frame = picture(SIZE) - rng.integers(0, 30, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
            Image.fromarray(frame).save(frames / f"images{number:04d}.png")
        np.savez(folder / "keypoints" / f"{name}.npz", keypoints=points, width=SIZE[0], height=SIZE[1], fps=25.0)
    corpus.write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for split in ("dev", "test"):
        write_clips(folder, split)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two variants: one with, one without cross-view attention."""
    folder = tmp_path_factory.mktemp("models")
    make_pipeline(SIZE).save_pretrained(folder / "b6-cva")
    make_pipeline(SIZE, cross_view={"levels": [], "mid": False}).save_pretrained(folder / "b6")
    return [folder / "b6", folder / "b6-cva"]


def run(clips: Path, models: list[Path], *options: object) -> object:
    arguments = [*models, "--known", clips, "--new", clips, "--steps", "2,1", *options]
    return CliRunner().invoke(load("ablation").main, [str(argument) for argument in arguments], catch_exceptions=False)


def test_table_and_going_on(clips: Path, models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, path = load("ablation"), tmp_path / "ablation.json"
    monkeypatch.setattr(bench, "load_wrist_finder", lambda: WristFinder().eval())
    done = run(clips, models, "--json", path)
    assert done.exit_code == 0
    for kind in ("known", "new"):
        assert f"## {kind} signers, 2 clips" in done.stdout
    lines = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| b6")]
    assert [(line[0], line[1]) for line in lines[:4]] == [
        ("| b6", "1"),
        ("| b6", "2"),
        ("| b6-cva", "1"),
        ("| b6-cva", "2"),
    ]
    assert ", p " in lines[0][2]
    assert "(" not in lines[2][2], "what all are compared with has no difference from itself"
    rows = json.loads(path.read_text())["rows"]
    assert len(rows) == 2 * 2 * 2
    assert np.array(rows[0]["sums"]).shape == (2, 5, 2)

    monkeypatch.setattr(bench, "clip_sums", lambda *args, **options: pytest.fail("measured twice"))
    again = run(clips, models, "--json", path)
    assert again.stdout == done.stdout


def test_wrong_use_is_told(clips: Path, models: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of the variants"):
        run(clips, models, "--against", "b9")
    with pytest.raises(InputError, match="numbers of 1 or more"):
        load("ablation").step_counts("1,zero")
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(InputError, match="holds no ablation"):
        run(clips, models, "--json", other)


def test_differences_are_those_of_equal_numbers_of_steps_and_of_paired_clips() -> None:
    table = load("ablation_table")
    rng = np.random.default_rng(0)

    def row(variant: str, steps: int, shift: float) -> object:
        sums = np.ones((8, len(table.MEASURES), 2))
        sums[:, :, 0] = level + shift
        return table.Row(variant, "known", steps, "w", tuple("abcdefgh"), sums)

    level = rng.normal(0.8, 0.3, (8, 1))  # clips differ by much more than the variants do
    rows = [row("b3", 1, -0.02), row("b3", 4, -0.01), row("b6-cva", 1, 0.0), row("b6-cva", 4, 0.05)]
    differences = table.differ(rows[0], rows[2], 0)
    assert differences["hand_ssim"].mean == pytest.approx(-0.02)
    assert differences["hand_ssim"].p_value == pytest.approx(2 / 2**8)
    assert differences["hand_ssim"].better == "against"
    text = table.document(rows, "b6-cva", 0)
    lines = text.splitlines()
    assert any(line.startswith("| b3 | 4 |") and "(-0.0600, p 0.008)" in line for line in lines)
    assert sum(line.startswith("| b6-cva | 4 |") for line in lines) == 2
    assert any(line.startswith("| b6-cva | 4 |") and "(+0.0500" in line for line in lines), "beside one step"
