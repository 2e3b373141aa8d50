"""Scores of pairs by the protocols of papers: arithmetic, names of files, reference sets, what stands beside them."""

from __future__ import annotations

import csv
import json
import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from made_up_weights import made_up_weights
from person_maker import Drawn, draw_people, write_cfld, write_market, write_tree
from PIL import Image
from safetensors.torch import save_file
from scipy.linalg import sqrtm
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tiny_base_weights import CLIP

from signgen.cli import main
from signgen.dataset.persons.names import output_name
from signgen.dataset.persons.tables import PairTable, all_pictures, read_table
from signgen.errors import BadValue, Empty, Mismatch, NotFound
from signgen.keypoints.layouts.body18 import from_body18
from signgen.model.networks.fusion import FusionModel
from signgen.pose_image import draw_points
from signgen.pose_image.body18 import draw_body
from signgen.scoring.metrics.fid import FID
from signgen.scoring.metrics.image import ssim_pair
from signgen.scoring.metrics.lpips import LPIPSNetwork, load_lpips
from signgen.scoring.persons import run
from signgen.scoring.persons.protocols import GAUSS12, PROTOCOLS, by_pil, by_torch
from signgen.scoring.persons.published import TABLES, reported_beside
from signgen.scoring.persons.retrieval import evaluate_retrieval
from signgen.scoring.persons.run import Weights, evaluate_pairs
from signgen.video import read_image

SAMPLES = "SIGNGEN_FPDM_SAMPLES"


@pytest.fixture(scope="module")
def people() -> list[Drawn]:
    return draw_people()


@pytest.fixture(scope="module")
def root(people: list[Drawn], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_cfld(folder / "cfld", people)
    write_tree(folder / "nted", people)
    write_market(folder / "market", people)
    return folder


def made(table: PairTable, folder: Path, size: tuple[int, int] | None, noise: float = 12.0) -> Path:
    """Pictures of all pairs: the target under noise, at ``size``; None: as it is."""
    folder.mkdir()
    for number, (pair, names) in enumerate(zip(table.pairs, table.names, strict=True)):
        picture = read_image(table.file(int(pair[1])))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)) if size else picture
        noisy = picture + np.random.default_rng(number).normal(0, noise, picture.shape) if noise else picture
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / output_name(*names))
    return folder


@pytest.fixture(scope="module")
def generated(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(read_table(root / "cfld"), tmp_path_factory.mktemp("made") / "512", (352, 512))


def signgen(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)


# -- arithmetic ------------------------------------------------------------------------------------------------------


def first_pair(table: PairTable, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Generated and true picture as they are stored, uint8."""
    return read_image(folder / output_name(*table.names[0])), read_image(table.file(int(table.pairs[0, 1])))


def second_opinion(pred: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """The scores of the papers' scripts by scikit-image, on floats (H, W, 3) in [0, 1]."""
    levels = pred * 255
    span = {"data_range": levels.max() - levels.min(), "gaussian_weights": True, "use_sample_covariance": False}
    return {
        "ssim_win51": structural_similarity(true, pred, data_range=1, win_size=51, channel_axis=2),
        "ssim_gauss15": structural_similarity(true * 255, levels, sigma=1.5, channel_axis=2, **span),
        "ssim_gauss12": structural_similarity(true * 255, levels, sigma=1.2, channel_axis=2, **span),
        "psnr": peak_signal_noise_ratio(true, pred, data_range=1),
    }


def scaled(name: str, pred: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Generated and true picture as the protocol's paper brings them to its size, written down once more."""
    size = PROTOCOLS[name].size
    pil = np.asarray(Image.fromarray(true).resize(size, Image.Resampling.BICUBIC)) / 255
    if name.startswith("cfld"):
        image = torch.from_numpy(pred).permute(2, 0, 1)[None] / 255
        image = torch.nn.functional.interpolate(image, (size[1], size[0]), mode="bicubic", antialias=True)
        cut = np.floor(np.clip(image[0].permute(1, 2, 0).numpy() * np.float32(255), 0, 255))
        return (pred / 255 if pred.shape[1::-1] == size else cut / 255), pil
    if name.startswith("fpdm"):
        return np.asarray(Image.fromarray(pred).resize(size, Image.Resampling.BICUBIC)) / 255, pil
    if name.startswith("pcdm"):
        cubic = cv2.resize(pred.astype(np.float32), size, interpolation=cv2.INTER_CUBIC).astype(float)
        return cubic / 255, pil
    return pred / 255, pil


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "market"])
def test_each_protocol_s_arithmetic(name: str, root: Path, generated: Path, tmp_path: Path) -> None:
    table = read_table(root / "cfld")
    folder = made(table, tmp_path / "square", (256, 256)) if name == "pidm-256" else generated
    result = evaluate_pairs(folder, root / "cfld", name, limit=1)
    wanted = second_opinion(*scaled(name, *first_pair(table, folder)))
    for score, definition in PROTOCOLS[name].ssim_names.items():
        assert result.metrics[score] == pytest.approx(wanted[score], abs=2e-5), (score, definition)
    assert result.metrics["psnr"] == pytest.approx(wanted["psnr"], abs=1e-4)
    family_s = {"cfld": "ssim_win51", "fpdm": "ssim_win51", "pidm": "ssim_gauss12", "pcdm": "ssim_gauss12"}
    assert result.settings["family_ssim"] == family_s[name[:4]]


def test_protocols_differ_as_they_should(root: Path, generated: Path) -> None:
    """One folder, four rules: equal only where the rule does nothing."""
    found = {name: evaluate_pairs(generated, root / "cfld", name).metrics for name in PROTOCOLS if name[0] in "cf"}
    assert found["cfld-512"]["ssim_win51"] == found["fpdm-512"]["ssim_win51"]  # nothing to scale
    assert found["cfld-256"]["psnr"] != found["fpdm-256"]["psnr"]
    assert abs(found["cfld-256"]["psnr"] - found["fpdm-256"]["psnr"]) < 0.5  # truncated, not rounded


def test_market_pictures_are_scored_as_stored(root: Path, tmp_path: Path) -> None:
    table = read_table(root / "market")
    folder = made(table, tmp_path / "made", None)
    result = evaluate_pairs(folder, root / "market", "market")
    pred, true = (x / 255 for x in first_pair(table, folder))
    alone = evaluate_pairs(folder, root / "market", "market", limit=1)
    assert alone.metrics["ssim_gauss15"] == pytest.approx(second_opinion(pred, true)["ssim_gauss15"], abs=1e-6)
    assert result.counts["pairs"] == 14
    assert result.signatures["ssim_gauss15"].startswith("ssim_gauss15|family:patn|protocol:market|")


# -- names, dialects, refusals ---------------------------------------------------------------------------------------


def test_pictures_of_others_are_scored_by_their_own_names(
    root: Path, generated: Path, people: list[Drawn], tmp_path: Path
) -> None:
    """FPDM's and PCDMs' names give what our own give; a stray file is counted."""
    table, paths = read_table(root / "cfld"), {one.flat: one.path for one in people}
    first = evaluate_pairs(generated, root / "cfld", "cfld-256").metrics
    fpdm, pcdm = tmp_path / "fpdm", tmp_path / "pcdm"
    for source, target in table.names:
        content = (generated / output_name(source, target)).read_bytes()
        joined = "_2_".join(
            paths[name].replace("/id_", "id_").replace("/", "", 1).replace("/", "") for name in (source, target)
        )
        for folder, name in ((fpdm, f"{joined}.png"), (pcdm, f"{Path(source).stem}_to_{Path(target).stem}.png")):
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    assert (fpdm / next(fpdm.iterdir()).name).name.count(".jpg") == 2
    (fpdm / "sheet.png").write_bytes(content)
    found = evaluate_pairs(fpdm, root / "nted", "cfld-256")
    assert found.metrics == first
    assert found.counts == {"pairs": 14, "missing": 0, "ignored": 1}
    assert "sheet.png" in found.warnings[0]
    assert evaluate_pairs(pcdm, root / "cfld", "cfld-256").metrics == first


def test_both_dialects_give_one_table_of_scores(root: Path, generated: Path) -> None:
    one, other = (evaluate_pairs(generated, root / name, "pcdm-256").to_json() for name in ("cfld", "nted"))
    for part in ("data", "layout"):
        assert one["settings"].pop(part) != other["settings"].pop(part)
    assert one == other


def test_what_is_missing_is_named(root: Path, generated: Path, tmp_path: Path) -> None:
    table = read_table(root / "cfld")
    folder = made(table, tmp_path / "made", (176, 256))
    lost = folder / output_name(*table.names[2])
    lost.unlink()
    with pytest.raises(Mismatch, match="lacks pictures of 1 of 14 pairs: .*--names common"):
        evaluate_pairs(folder, root / "cfld", "cfld-256")
    result = evaluate_pairs(folder, root / "cfld", "cfld-256", names="common")
    assert (result.counts["pairs"], result.counts["missing"]) == (13, 1)
    assert "not the whole protocol" in result.warnings[0]
    assert evaluate_pairs(folder, root / "cfld", "cfld-256", limit=2).counts["missing"] == 0
    twice = folder / output_name(*table.names[0]).replace("_2_fashion", "_to_fashion").replace("_vis", "")
    twice.write_bytes((folder / output_name(*table.names[0])).read_bytes())
    with pytest.raises(Mismatch, match="which are of one pair"):
        evaluate_pairs(folder, root / "cfld", "cfld-256", names="common")
    with pytest.raises(Empty, match="holds no picture of a pair"):
        evaluate_pairs(root / "cfld" / "test_highres", root / "cfld", "cfld-256")
    with pytest.raises(NotFound):
        evaluate_pairs(tmp_path / "nowhere", root / "cfld", "cfld-256")


def test_a_protocol_has_its_data_set_and_its_size(root: Path, generated: Path, tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match="got market for a data set of layout cfld; choose from cfld-256"):
        evaluate_pairs(generated, root / "cfld", "market")
    with pytest.raises(BadValue, match="got 'cfld'; choose from cfld-256, .*retrieval"):
        evaluate_pairs(generated, root / "cfld", "cfld")
    with pytest.raises(
        Mismatch, match="is 352x512; this protocol scores pictures of 256x256 as they are stored"
    ) as error:
        evaluate_pairs(generated, root / "cfld", "pidm-256")
    assert error.value.subject.endswith("_vis.png")
    flat = tmp_path / "flat"
    flat.mkdir()
    for names in read_table(root / "cfld").names:
        Image.new("RGB", (176, 256), (9, 9, 9)).save(flat / output_name(*names))
    with pytest.raises(BadValue, match="one flat colour"):
        evaluate_pairs(flat, root / "cfld", "pcdm-256")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--protocol", "cfld-256", "--report", "x.html"], "error: --report: got it with cfld-256 protocol"),
        (["--protocol", "retrieval", "--csv", "x.csv"], "error: --csv: got it with retrieval protocol"),
        (["--layout", "nted"], "error: --layout: got it with no protocol; it is for --protocol"),
    ],
)
def test_options_have_their_use(options: list[str], words: str) -> None:
    refused = signgen("evaluate", "a", "b", *options)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(words)


# -- networks --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    folder = tmp_path_factory.mktemp("weights")
    save_file(made_up_weights(LPIPSNetwork()), folder / "alex.safetensors")
    return Weights(folder / "alex.safetensors")


def test_what_lpips_gets(root: Path, generated: Path, weights: Weights) -> None:
    """CFLD's is LPIPS as it is meant; PCDMs' network gets [0, 1] where it expects [-1, 1]."""
    only = Weights(lpips=weights.lpips)
    found = {n: evaluate_pairs(generated, root / "cfld", n, limit=1, weights=only) for n in ("cfld-256", "pcdm-256")}
    network, _ = load_lpips(weights.lpips)
    pair = first_pair(read_table(root / "cfld"), generated)
    for name, result in found.items():
        images = [torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in scaled(name, *pair)]
        images = images if name == "cfld-256" else [(x + 1) / 2 for x in images]
        assert result.metrics["lpips"] == pytest.approx(float(network.distance(*images)), rel=1e-4)
        assert result.metrics["fid"] is None
        assert "--fid-weights" in result.not_computed["fid"]
    assert "input:[0,1]-as-is" in found["pcdm-256"].signatures["lpips"]


@pytest.fixture
def pooled(monkeypatch: pytest.MonkeyPatch) -> Callable[[torch.Tensor], torch.Tensor]:
    """A backbone in Inception's place that takes a moment: means of 3x3 parts of a picture."""

    def backbone(images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 3).flatten(1)

    monkeypatch.setattr(run, "FID", lambda weights: FID(features=backbone, name="pooled"))
    run._networks.cache_clear()
    yield backbone
    run._networks.cache_clear()


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Heusel et al. 2017 by numpy and scipy, of features (N, D)."""
    root = sqrtm(np.cov(first.T) @ np.cov(second.T)).real
    gap = first.mean(0) - second.mean(0)
    return float(gap @ gap + np.trace(np.cov(first.T) + np.cov(second.T) - 2 * root))


def test_fid_has_a_reference_set_with_a_name(root: Path, generated: Path, pooled: Callable) -> None:
    """Training pictures, all that are no target, or targets: each by the protocol's own way to its size."""
    table, given = read_table(root / "cfld"), Weights(fid="given")

    def tensor(files: list[Path], scale: Callable) -> torch.Tensor:
        images = np.stack([scale(read_image(path), (176, 256)) for path in files])
        return torch.from_numpy(images).permute(0, 3, 1, 2).float()

    names = [generated / output_name(*pair) for pair in table.names]
    targets = sorted({table.file(int(number)) for number in table.pairs[:, 1]})
    train = all_pictures(root / "cfld", "train", "cfld")
    others = sorted({*train, *all_pictures(root / "cfld", "test", "cfld")} - set(targets))
    fpdm = evaluate_pairs(generated, root / "cfld", "fpdm-256", weights=given)
    cfld = evaluate_pairs(generated, root / "cfld", "cfld-256", weights=given)
    features = {
        name: pooled(tensor(files, scale)).double().numpy()
        for name, files, scale in (
            ("fid", others, by_pil), ("fid_test", targets, by_pil), ("train", train, by_pil), ("made", names, by_pil),
            ("made by torch", names, by_torch),
        )
    }  # fmt: skip
    for name, files in (("fid", others), ("fid_test", targets)):
        assert fpdm.metrics[name] == pytest.approx(frechet(features["made"], features[name]), rel=1e-3)
        assert fpdm.counts[f"{name}_references"] == len(files)
    assert (len(targets), len(others), len(train)) == (8, 16, 15)
    assert cfld.metrics["fid"] == pytest.approx(frechet(features["made by torch"], features["train"]), rel=1e-3)
    assert "reference:others-16" in fpdm.signatures["fid"]
    assert "reference:targets-8" in fpdm.signatures["fid_test"]
    assert "reference:train-15" in cfld.signatures["fid"]
    assert fpdm.intervals["fid"] is None
    assert evaluate_pairs(generated, root / "nted", "cfld-256", weights=given).metrics == cfld.metrics


def test_pcdms_fid_leaves_out_what_fills_no_batch(
    root: Path, generated: Path, pooled: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "WHOLE_BATCHES", 4)
    result = evaluate_pairs(generated, root / "cfld", "pcdm-256", weights=Weights(fid="given"))
    assert result.counts["fid_references"] == 12  # of 15
    assert "whole-batches-of-128" in result.signatures["fid"]
    protocol, size = PROTOCOLS["pcdm-256"], (176, 256)
    kept = [generated / output_name(*names) for names in read_table(root / "cfld").names[:12]]
    made_of = np.stack([protocol.generated(read_image(path), size) for path in kept])
    train = sorted(all_pictures(root / "cfld", "train", "cfld"))[:12]
    true = np.stack([protocol.true(read_image(path), size) for path in train])
    sides = [pooled(torch.from_numpy(x).permute(0, 3, 1, 2).float()).double().numpy() for x in (made_of, true)]
    assert result.metrics["fid"] == pytest.approx(frechet(*sides), rel=1e-3)


def test_work_reaches_other_processes(root: Path, generated: Path, weights: Weights) -> None:
    """What is sent to them gives there what it gives here."""
    table, only = read_table(root / "cfld"), Weights(lpips=weights.lpips)
    pairs = [(generated / output_name(*table.names[n]), table.file(int(table.pairs[n, 1]))) for n in range(3)]
    work = partial(run.score_batch, name="cfld-256", weights=only)
    (here, _), (there, features) = work(pairs), pickle.loads(pickle.dumps(work))(pairs)
    assert features is None
    assert list(here) == ["ssim_win51", "ssim_gauss15", "psnr", "lpips"]
    assert all(np.array_equal(here[name], there[name]) for name in here)


# -- what stands beside ----------------------------------------------------------------------------------------------


def test_published_rows_stand_in_their_own_family_alone(root: Path, generated: Path, tmp_path: Path) -> None:
    lines = tmp_path / "pairs.csv"
    done = signgen("evaluate", generated, root / "cfld", "--protocol", "cfld-256", "--csv", lines, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [table["source"] for table in found["reported"]] == ["FPDM Table 1"]
    rows = {row["method"]: row for row in found["reported"][0]["rows"]}
    assert rows["FPDM (B6)"]["ssim"] == 0.7417
    assert all(row["mark"] == "reported" for row in rows.values())
    for protocol in PROTOCOLS.values():
        assert all(table.family == protocol.family for table in reported_beside(protocol))
    assert [table.source for table in reported_beside(PROTOCOLS["pcdm-256"])] == ["IMAGPose Table 1"]
    assert reported_beside(PROTOCOLS["pidm-256"]) == []
    assert len({(table.source, table.resolution) for table in TABLES}) == len(TABLES)
    read = list(csv.DictReader(lines.read_text().splitlines()))
    assert len(read) == 14
    assert np.mean([float(row["ssim_win51"]) for row in read]) == pytest.approx(found["metrics"]["ssim_win51"])
    text = signgen("evaluate", generated, root / "cfld", "--protocol", "cfld-256").stdout
    measured, reported = text.split("reported: FPDM Table 1")
    assert "ssim_win51 (the family's SSIM)" in measured
    assert "0.7417" not in measured
    assert "nothing of it measured here" in reported
    assert f"{found['metrics']['psnr']:.4f}" not in reported


# -- retrieval -------------------------------------------------------------------------------------------------------


def test_retrieval_by_the_source_alone_finds_the_source(people: list[Drawn], tmp_path: Path) -> None:
    """FPDM's A1 in two lists: a picture with itself is found at once, another picture never first."""
    torch.manual_seed(0)
    FusionModel(vision=dict(CLIP), combine=False).save_pretrained(tmp_path / "alone")
    root = write_cfld(tmp_path / "set", people)
    table = read_table(root)
    same = "\n".join(["from,to", *(f"{picture.name},{picture.name}" for picture in table.pictures)])
    others = evaluate_retrieval(tmp_path / "alone", root, size=(48, 64))
    (root / "fasion-resize-pairs-test.csv").write_text(same + "\n")
    itself = evaluate_retrieval(tmp_path / "alone", root, size=(48, 64))
    assert itself.metrics == {"recall_at_1": 1.0, "recall_at_3": 1.0, "recall_at_5": 1.0, "mean_rank": 1.0}
    assert itself.counts == {"pairs": 8, "gallery": 8}
    assert others.metrics["recall_at_1"] == 0
    assert others.metrics["mean_rank"] >= 2
    assert others.settings["chance"]["mean_rank"] == 4.5
    assert [table.source for table in others.reported] == ["FPDM Table 2"]
    assert others.reported[0].rows["A3 source-enhanced"][0] == 0.997
    done = signgen("evaluate", tmp_path / "alone", root, "--protocol", "retrieval", "--size", "48x64", "--json")
    assert json.loads(done.stdout)["metrics"] == itself.metrics
    empty = signgen("evaluate", root, root, "--protocol", "retrieval")
    assert empty.exit_code == 2
    assert "holds no fusion model" in empty.stderr


def test_retrieval_asks_for_the_target_s_pose(people: list[Drawn], tmp_path: Path) -> None:
    """The query is what the model's own forward gives for source and the drawing of the target's pose."""
    torch.manual_seed(1)
    model = FusionModel(vision=dict(CLIP)).eval()
    model.save_pretrained(tmp_path / "fusion")
    root = write_cfld(tmp_path / "set", people)
    table, size = read_table(root), (48, 64)
    found = evaluate_retrieval(tmp_path / "fusion", root, size=size, pose_style="cfld18")
    frames = np.stack([by_pil(read_image(table.file(n)), size) for n in range(8)])
    points = from_body18(table.points(size))
    poses = draw_points(points[..., :2], points[..., 2], size, size, "cfld18")
    tensor = lambda x: torch.from_numpy(np.asarray(x, np.float32)).permute(0, 3, 1, 2)  # noqa: E731
    with torch.inference_mode():
        pictures = model.encode(tensor(frames) * 2 - 1)
        queries = model(tensor(frames[table.pairs[:, 0]]) * 2 - 1, tensor(poses[table.pairs[:, 1]]) / 127.5 - 1)
    similar = torch.nn.functional.normalize(queries, dim=-1) @ torch.nn.functional.normalize(pictures, dim=-1).T
    own = similar[torch.arange(14), torch.from_numpy(table.pairs[:, 1])]
    place = (similar >= own[:, None] - 1e-7).sum(1).double()
    assert found.metrics["mean_rank"] == pytest.approx(float(place.mean()), abs=0.2)


# -- published samples, where somebody has them ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples() -> Path:
    if SAMPLES not in os.environ:
        pytest.skip(f"{SAMPLES} does not name FPDM's folder dataset/deepfashion_samples, which cannot be shipped")
    return Path(os.environ[SAMPLES])


def test_fpdm_s_five_outputs(samples: Path) -> None:
    """Figures computed from FPDM's own code on the outputs that it ships, by its resize rule."""
    wanted = {"fpdm-512": (0.0355, 0.3080, 6.946), "fpdm-256": (-0.0280, 0.2890, 7.015)}
    for name, figures in wanted.items():
        found = evaluate_pairs(samples / "generate_ab6_20_0", samples, name).metrics
        assert found["ssim_win51"] == pytest.approx(figures[0], abs=6e-5)
        assert found["ssim_gauss15"] == pytest.approx(figures[1], abs=6e-5)
        assert found["psnr"] == pytest.approx(figures[2], abs=6e-4)


@pytest.mark.parametrize(
    ("size", "figures"),
    [((176, 256), (0.2433, 0.5603, 0.5304, 14.986)), ((352, 512), (0.3298, 0.6270, 0.6042, 14.828))],
)
def test_a_copy_of_the_source(samples: Path, size: tuple[int, int], figures: tuple[float, ...]) -> None:
    found = []
    for split in ("train", "test"):
        table = read_table(samples, split)
        for pair in table.pairs:
            pred, true = (by_pil(read_image(table.file(int(number))), size) for number in pair)
            wanted = second_opinion(pred, true)
            assert ssim_pair(pred, true, GAUSS12) == pytest.approx(wanted["ssim_gauss12"], abs=1e-6)
            found.append([wanted[name] for name in ("ssim_win51", "ssim_gauss12", "ssim_gauss15", "psnr")])
    assert len(found) == 10
    assert np.mean(found, 0) == pytest.approx(figures, abs=6e-4)


def test_fpdm_s_drawings(samples: Path) -> None:
    """Its 14 pose pictures, but for JPEG's edges."""
    files = sorted((samples / "pose").rglob("*.txt"))
    assert len(files) == 14
    for file in files:
        picture = samples / "pose_img" / file.relative_to(samples / "pose").with_suffix(".jpg")
        true = read_image(picture).astype(int)
        points = np.loadtxt(file)
        missing = points == -1
        points = (points - [40, 0]) * [true.shape[1] / 176, true.shape[0] / 256]
        points[missing] = -1
        drawn = np.zeros(true.shape, np.uint8)
        draw_body(drawn, points, "fpdm18")
        difference = np.abs(drawn - true)
        assert difference.mean() < 0.35
        assert difference.max() < 220
