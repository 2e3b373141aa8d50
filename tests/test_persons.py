"""DeepFashion and Market-1501, as drawn people in their dialects: tables, drawings, training, rendering of pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from person_maker import FRAME, Drawn, draw_people, pairs_of, write_cfld, write_market, write_tree
from PIL import Image
from tiny_base_weights import DENOISER, write_base_weights

from signgen.cli import main
from signgen.dataset.persons.names import flat_name, output_name, readings, squeezed
from signgen.dataset.persons.tables import read_table
from signgen.dataset.prepared import open_prepared
from signgen.errors import Damaged, Missing, NotFound, Untrusted
from signgen.keypoints.layouts.body18 import FROM_BODY_18, from_body18, to_body18
from signgen.keypoints.skeleton import MIRROR
from signgen.pose_image import draw_points
from signgen.pose_image.body18 import draw_body


@pytest.fixture(scope="module")
def people() -> list[Drawn]:
    return draw_people()


@pytest.fixture(scope="module")
def sets(people: list[Drawn], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    write_cfld(root / "cfld", people)
    write_cfld(root / "unlisted", people, word="fashion", listed=False)
    write_tree(root / "nted", people)
    write_tree(root / "fpdm", people, fpdm=True)
    write_market(root / "market", people)
    return root


def signgen(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)


def done(*arguments: object) -> dict:
    result = signgen(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "flat"),
    [
        ("img/WOMEN/Blouses_Shirts/id_00003372/03_3_back.jpg", "fashionWOMENBlouses_Shirtsid0000337203_3back.jpg"),
        ("./img/MEN/Denim/id_00000080/01_6_flat.jpg", "fashionMENDenimid0000008001_6flat.jpg"),
        ("0001_c1s1_000151_01.jpg", "0001_c1s1_000151_01.jpg"),
    ],
)
def test_flat_names(path: str, flat: str) -> None:
    assert flat_name(path) == flat


SOURCE, TARGET = "fashionWOMENShortsid0000513803_4full.jpg", "fashionWOMENShortsid0000513803_2side.jpg"


@pytest.mark.parametrize(
    "name",
    [
        output_name(SOURCE, TARGET),
        "fashionWOMENShortsid0000513803_4full_2_fashionWOMENShortsid0000513803_2side.png",
        "WOMENShortsid_0000513803_4_full.jpg_2_WOMENShortsid_0000513803_2_side.jpg.png",
        "fashionWOMENShortsid0000513803_4full_to_fashionWOMENShortsid0000513803_2side.png",
    ],
)
def test_a_generated_picture_says_its_pair(name: str) -> None:
    assert (squeezed(SOURCE), squeezed(TARGET)) in list(readings(name))


# -- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "test"])
def test_all_dialects_give_one_table(sets: Path, people: list[Drawn], split: str) -> None:
    first = read_table(sets / "cfld", split)
    wanted = [(source.flat, target.flat) for source, target in pairs_of(people, split)]
    assert first.names == wanted
    assert len(wanted) == {"train": 30, "test": 14}[split]
    for layout in ("unlisted", "nted", "fpdm"):
        other = read_table(sets / layout, split)
        assert other.names == wanted
        assert [picture.name for picture in other.pictures] == [picture.name for picture in first.pictures]
        assert np.array_equal(other.points(FRAME), first.points(FRAME))
    assert read_table(sets / "nted", split).layout == "nted"


def test_points_are_the_drawing_s_own(sets: Path, people: list[Drawn]) -> None:
    table, drawn = read_table(sets / "nted", "train"), {one.flat: one.points for one in people}
    points = table.points((352, 512))
    lone = 0
    for picture, found in zip(table.pictures, points, strict=True):
        own = drawn[picture.name]
        there = (own != -1).all(-1)
        assert np.array_equal(found[:, 2], there)
        assert np.array_equal(found[there, :2], 2 * own[there])
        assert not found[~there].any()
        lone += int(((own == -1).any(-1) & (own != -1).any(-1)).sum())
    assert lone == 1  # one coordinate of -1 makes a point missing


def test_a_missing_hip_takes_its_pairs(sets: Path) -> None:
    for layout in ("unlisted", "market"):
        names = {name for pair in read_table(sets / layout, "test").names for name in pair}
        assert len(names) == 8, "nine pictures, one without a hip"
    assert not any(name.startswith(("-1", "0000")) for name in names)
    assert any("6flat" in picture.name for picture in read_table(sets / "unlisted").pictures)


def test_a_list_is_taken_as_it_is(people: list[Drawn], tmp_path: Path) -> None:
    """A pair of a published list stays, whatever its poses lack; one without annotation is left out and named."""
    root = write_cfld(tmp_path / "set", people)
    lame = next(one.flat for one in people if one.split == "test" and (one.points[8] == -1).all())
    whole = pairs_of(people, "test")[0][0].flat
    (root / "fasion-resize-pairs-test.csv").write_text(f"from,to\n{whole},{lame}\n{whole},nobody.jpg\n")
    table = read_table(root)
    assert table.names == [(whole, lame)]
    assert table.left_out == ((f"{whole} to nobody.jpg", "nobody.jpg has no annotation"),)


def test_pictures_may_lie_in_the_unpacked_tree(people: list[Drawn], tmp_path: Path) -> None:
    root = write_cfld(tmp_path / "set", people)
    before = read_table(root)
    for one in people:
        place = root / one.path
        place.parent.mkdir(parents=True, exist_ok=True)
        (root / f"{one.split}_highres" / one.flat).rename(place)
    after = read_table(root)
    assert after.names == before.names
    assert all(after.file(number).is_file() for number in range(len(after.pictures)))


def test_gfla_s_frame_is_padded(people: list[Drawn], tmp_path: Path) -> None:
    root = write_cfld(tmp_path / "set", people)
    before = read_table(root).points(FRAME)
    path = root / "fasion-resize-annotation-test.csv"
    rows = [line.split(":") for line in path.read_text().splitlines()]
    for row in rows[1:]:
        row[2] = json.dumps([x if x == -1 else x + 40 for x in json.loads(row[2])])
    path.unlink()
    (root / "fasion-annotation-test.csv").write_text("\n".join(map(":".join, rows)))
    assert np.array_equal(read_table(root).points(FRAME), before)


@pytest.mark.parametrize(
    ("file", "text", "kind", "words"),
    [
        (
            "fasion-resize-annotation-test.csv",
            "name:keypoints_y:keypoints_x\na.jpg: [1, 2]: [3, 4]\n",
            Damaged,
            "line 2",
        ),
        ("fasion-resize-annotation-test.csv", "a.jpg: [" + "[" * 100_000, Damaged, "line 1"),
        ("fasion-resize-pairs-test.csv", "from,to\nonly.jpg\n", Damaged, "line 2"),
        ("fasion-resize-pairs-test.csv", "from,to\n../../etc/a.jpg,b.jpg\n", Damaged, "no flat name"),
    ],
)
def test_bad_lists(
    people: list[Drawn], tmp_path: Path, file: str, text: str, kind: type[Exception], words: str
) -> None:
    root = write_cfld(tmp_path / "set", people)
    (root / file).write_text(text)
    with pytest.raises(kind, match=words) as error:
        read_table(root)
    assert error.value.subject == str(root / file)


def test_bad_trees(people: list[Drawn], tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no pairs or annotations"):
        read_table(tmp_path)
    root = write_tree(tmp_path / "set", people)
    with pytest.raises(NotFound, match="holds no split 'dev', only train, test"):
        read_table(root, "dev")
    with pytest.raises(NotFound, match="no list of layout market"):
        read_table(root, layout="market")
    victim = next(one for one in people if one.split == "test")
    (root / "img" / victim.path).unlink()
    with pytest.raises(Missing, match="lacks 1 of 8 pictures"):
        read_table(root)
    (root / "test_pairs.txt").write_text("../secret.jpg,img/WOMEN/a.jpg\n")
    with pytest.raises(Untrusted, match="leads out of the data set"):
        read_table(root)


# -- the 18 points and their drawings --------------------------------------------------------------------------------


def test_the_view_of_18_goes_there_and_back() -> None:
    rng = np.random.default_rng(0)
    body = np.concatenate([rng.uniform(1, 100, (5, 18, 2)), rng.integers(0, 2, (5, 18, 1))], -1)
    body[body[..., 2] == 0] = 0
    again = to_body18(from_body18(body))
    others = [point for point in range(18) if point != 1]
    assert np.array_equal(again[:, others], body[:, others])
    for pose, found in zip(body, again, strict=True):
        both = pose[[2, 5], 2].all()
        assert np.allclose(found[1, :2], pose[[2, 5], :2].mean(0) if both else 0)
        assert found[1, 2] == both
    flipped = [FROM_BODY_18[MIRROR[joint]] for joint in range(17)]  # OpenPose's own list of partners
    partner = {FROM_BODY_18[joint]: flipped[joint] for joint in range(17)}
    assert all(partner[a] == b for a, b in ((2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (14, 15), (16, 17)))


def lone(*places: tuple[int, float, float]) -> np.ndarray:
    points = np.full((18, 2), -1.0)
    for number, x, y in places:
        points[number] = x, y
    return points


@pytest.mark.parametrize(
    ("style", "red_first", "radius"), [("fpdm18", False, 4), ("cfld18", True, 3), ("imagpose18", True, 4)]
)
def test_a_point_s_colour_and_size(style: str, red_first: bool, radius: int) -> None:
    """The nose is the rainbow's red, which FPDM's exchange of channels makes blue; nothing else is drawn."""
    picture = np.zeros((40, 40, 3), np.uint8)
    draw_body(picture, lone((0, 20.9, 20.2)), style)
    colour = (255, 0, 0) if red_first else (0, 0, 255)
    assert tuple(picture[20, 20]) == colour
    rows, columns = np.nonzero(picture.max(-1) > 128)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
        20 - radius,
        20 + radius,
        20 - radius,
        20 + radius,
    )


def test_limbs_of_the_three_styles() -> None:
    """Neck to right shoulder, the first limb: blended, dark and thin, or darkened under full points."""
    points = lone((1, 30, 20), (2, 10, 20))
    pictures = {style: np.zeros((40, 40, 3), np.uint8) for style in ("fpdm18", "cfld18", "imagpose18")}
    for style, picture in pictures.items():
        draw_body(picture, points, style)
    middle = {style: tuple(int(v) for v in picture[20, 20]) for style, picture in pictures.items()}
    assert middle == {"fpdm18": (0, 0, 153), "cfld18": (153, 0, 0), "imagpose18": (153, 0, 0)}
    high = {style: int((picture[:, 20].max(-1) > 0).sum()) for style, picture in pictures.items()}
    assert high == {"fpdm18": 9, "cfld18": high["cfld18"], "imagpose18": 9}
    assert high["cfld18"] <= 5  # two pixels and their smooth edges
    ends = {style: tuple(int(v) for v in picture[20, 10]) for style, picture in pictures.items()}
    assert ends["cfld18"] == ends["imagpose18"] == (255, 170, 0)
    assert ends["fpdm18"] == (0, 68, round(0.4 * 255 + 0.6 * 255))  # the point, then the limb's blue over it


def test_imagpose_draws_hands_and_what_is_sure() -> None:
    xy, sure = np.zeros((1, 133, 2)), np.zeros((1, 133))
    xy[0, 91:112] = np.stack([np.linspace(20, 60, 21), np.full(21, 40.0)], -1)
    sure[0, 91:112] = 0.9
    drawn = {style: draw_points(xy, sure, (80, 80), (80, 80), style)[0] for style in ("imagpose18", "fpdm18")}
    assert tuple(drawn["imagpose18"][40, 40]) == (0, 0, 255)
    assert not drawn["fpdm18"].any()
    xy[0, 0], sure[0, 0] = (30, 10), 0.3
    assert np.array_equal(draw_points(xy, sure, (80, 80), (80, 80), "imagpose18")[0], drawn["imagpose18"])
    sure[0, 0] = 0.31
    assert draw_points(xy, sure, (80, 80), (80, 80), "imagpose18")[0, 10, 30].any()


# -- prepare, train, render ------------------------------------------------------------------------------------------


TINY = {
    "steps": 1, "batch": 2, "threads": 1, "precision": "no", "tensorboard": False, "sheet_steps": 0, "log_steps": 1,
    "image_encoder_size": 28,
}  # fmt: skip


def trained(data: Path, folder: Path, preset: str) -> Path:
    """A model of the preset's two stages, at tiny size: fusion and denoiser, one step each."""
    base = write_base_weights(folder / "base")
    common = [f"--set={key}={json.dumps(value)}" for key, value in TINY.items()] + [f"--set=data={data}"]
    optim = ["--set=optim.warmup=0", "--set=optim.accumulate=1"]
    starts = [f"--set=start.{name}={base[name]}" for name in ("vae", "unet", "image_encoder")]
    done(
        "train",
        f"{preset}/fusion",
        *common,
        *optim,
        f"--set=output={folder / 'fusion'}",
        f"--set=start.clip={base['clip']}",
    )
    model = [f"--set=model={json.dumps(DENOISER)}", f"--set=start.fusion={folder / 'fusion/model/fusion'}"]
    done("train", f"{preset}/fpdm", *common, *optim, *starts, *model, f"--set=output={folder / 'denoiser'}")
    done("assemble", folder / "model", folder / "fusion", folder / "denoiser", "--steps", 1, "--dtype", "float32")
    return folder / "model"


@pytest.fixture(scope="module")
def work(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fabricated DeepFashion prepared from two dialects, and a model trained on it."""
    folder = tmp_path_factory.mktemp("work")
    for layout in ("cfld", "nted"):
        report = done("prepare", sets / layout, folder / layout, "--size", "48x64", "--jobs", 1)
        assert report["splits"]["train"]["pairs"] == 30
        assert report["splits"]["train"]["clips"] == 5
        assert report["splits"]["test"]["shards_left"] == {"frames": 0}
    trained(folder / "cfld", folder, "deepfashion")
    return folder


def test_both_dialects_prepare_the_same(work: Path, people: list[Drawn]) -> None:
    for split in ("train", "test"):
        one, other = (open_prepared(work / layout, split) for layout in ("cfld", "nted"))
        assert np.array_equal(one.keypoints, other.keypoints)
        assert np.array_equal(one.triplets, other.triplets)
        assert one.clips == other.clips
        assert np.array_equal(one.frames[np.arange(len(one.frames))], other.frames[np.arange(len(other.frames))])
        assert [(work / layout / split / "pairs.csv").read_text() for layout in ("cfld", "nted")][0].startswith(
            "source,"
        )
    drawn = next(one for one in people if one.split == "test")
    small = np.asarray(Image.fromarray(drawn.image).resize((48, 64), Image.Resampling.BICUBIC)).astype(int)
    cache = open_prepared(work / "cfld", "test")
    differences = np.abs(cache.frames[np.arange(8)].astype(int) - small).mean((1, 2, 3))
    assert differences.min() < 3  # JPEG's loss
    assert np.sort(differences)[1] > 8
    sources, targets = cache.triplets.T
    clip = np.searchsorted(cache.bounds[:, 0], np.stack([sources, targets]), "right")
    assert (clip[0] == clip[1]).all()


def test_frames_need_not_be_kept(sets: Path, work: Path, tmp_path: Path) -> None:
    done("prepare", sets / "cfld", tmp_path / "out", "--size", "48x64", "--no-frames", "--split", "test", "--jobs", 1)
    one, other = open_prepared(work / "cfld", "test"), open_prepared(tmp_path / "out", "test")
    assert np.array_equal(one.frames[np.arange(8)], other.frames[np.array([np.arange(8)])][0])
    wrong = signgen("prepare", sets / "cfld", tmp_path / "out", "--size", "64x64", "--split", "test", "--jobs", 1)
    assert wrong.exit_code == 2
    assert "was prepared at 48x64" in wrong.stderr


def test_a_run_of_pairs_goes_on_where_it_stopped(work: Path, sets: Path, tmp_path: Path) -> None:
    """In shares, from prepared folder and data set, with a picture lost: the same pictures, byte for byte."""
    model = ["--model", work / "model", "--seed", 7, "--scheduler", "ddpm"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    report = done("render-pairs", work / "cfld", "-o", whole, *model)
    assert (report["pairs"], report["rendered"], report["pose_style"], report["seed"]) == (14, 14, "fpdm18", 7)
    done("render-pairs", sets / "nted", "-o", parts, *model, "--shard", "1/2")
    assert len(list(parts.glob("*.png"))) == 7
    done("render-pairs", sets / "nted", "-o", parts, *model, "--shard", "2/2")
    pictures = {path.name: path.read_bytes() for path in whole.glob("*.png")}
    assert {path.name: path.read_bytes() for path in parts.glob("*.png")} == pictures
    assert set(pictures) == {output_name(*pair) for pair in read_table(sets / "cfld").names}
    assert len(set(pictures.values())) == 14
    victim = sorted(pictures)[3]
    (parts / victim).unlink()
    (parts / ".signgen-dead").mkdir()
    assert done("render-pairs", sets / "nted", "-o", parts, *model)["rendered"] == 1
    assert (parts / victim).read_bytes() == pictures[victim]
    other = signgen("render-pairs", sets / "nted", "-o", parts, *model[:3], 8)
    assert other.exit_code == 2
    assert "another" in other.stderr
    stranger = signgen("render-pairs", sets / "nted", "-o", work, *model)
    assert "holds other files" in stranger.stderr


def test_more_pictures_of_the_person_change_the_picture(work: Path, sets: Path, tmp_path: Path) -> None:
    one, two = (tmp_path / str(count) for count in (1, 2))
    for count, folder in enumerate((one, two), 1):
        done("render-pairs", sets / "cfld", "-o", folder, "--model", work / "model", "--sources", count, "--limit", 1)
    assert [path.read_bytes() for path in one.glob("*.png")] != [path.read_bytes() for path in two.glob("*.png")]


def test_a_model_that_reads_hands_is_refused(sets: Path, tmp_path: Path) -> None:
    refused = signgen("render-pairs", sets / "cfld", "-o", tmp_path / "out", "--model", "mini")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: mini: reads solid hands")
    assert not (tmp_path / "out").exists()


def test_from_the_data_set_to_the_table(work: Path, sets: Path, tmp_path: Path) -> None:
    """DeepFashion in both dialects and Market-1501: prepared, trained, rendered, scored; both dialects score alike."""
    tables = {}
    for layout in ("cfld", "nted"):
        done("render-pairs", work / layout, "-o", tmp_path / layout, "--model", work / "model", "--seed", 3)
        tables[layout] = done("evaluate", tmp_path / layout, work / layout, "--protocol", "cfld-256")
        for part in ("generated", "data", "layout"):
            tables[layout]["settings"].pop(part)
    assert tables["cfld"] == tables["nted"]
    assert (tables["cfld"]["counts"]["pairs"], tables["cfld"]["metrics"]["lpips"]) == (14, None)
    assert -1 <= tables["cfld"]["metrics"]["ssim_win51"] <= 1
    done("prepare", sets / "market", tmp_path / "market", "--size", "64x128", "--jobs", 1)
    model = trained(tmp_path / "market", tmp_path, "market1501")
    done("render-pairs", tmp_path / "market", "-o", tmp_path / "made", "--model", model)
    assert len(list((tmp_path / "made").glob("0*_2_0*_vis.png"))) == 14
    found = done("evaluate", tmp_path / "made", tmp_path / "market", "--protocol", "market")
    assert (found["counts"]["pairs"], found["family"]) == (14, "patn")
    assert found["reported"][0]["source"] == "IMAGPose Table 1"
    ranked = done("evaluate", work / "fusion/model/fusion", work / "cfld", "--protocol", "retrieval", "--size", "48x64")
    assert ranked["counts"] == {"pairs": 14, "gallery": 8}


def test_imagpose_s_preset_trains_on_outfits_and_renders_with_several_sources(work: Path, tmp_path: Path) -> None:
    """T1 and T3 of its paper: views of one outfit in any order, masks over any of them."""
    base = write_base_weights(tmp_path / "base")
    content = {
        **TINY, "data": str(work / "cfld"), "output": str(tmp_path / "run"), "views": 2, "batch": 1,
        "start": {name: base[name] for name in ("vae", "unet", "image_encoder")},
        "model": {
            **DENOISER, "fusion_dim": None, "image_level": True, "fill": "zeros",
            "source": {"semantic_dim": 12, "hidden": 10, "patch": 4},
            "cross_view": {"heads": 2, "groups": 8, "attentions": 1, "ff_mult": 1, "attention": "joint"},
        },
    }  # fmt: skip
    settings = [f"--set={key}={json.dumps(value)}" for key, value in content.items()]
    done("train", "deepfashion/imagpose", *settings, "--set=optim.checkpointing=false")
    done("assemble", tmp_path / "model", tmp_path / "run", "--steps", 1, "--dtype", "float32", "--window", 4)
    common = ["--model", tmp_path / "model", "--limit", 2]
    report = done("render-pairs", work / "cfld", "-o", tmp_path / "t1", *common)
    assert (report["pose_style"], report["guidance_rule"]) == ("imagpose18", "imagpose")
    done("render-pairs", work / "cfld", "-o", tmp_path / "t3", *common, "--sources", 3)
    pictures = [[path.read_bytes() for path in sorted((tmp_path / name).glob("*.png"))] for name in ("t1", "t3")]
    assert len(pictures[0]) == len(pictures[1]) == 2
    assert pictures[0] != pictures[1]


def test_a_training_wants_prepared_pairs(sets: Path, tmp_path: Path) -> None:
    refused = signgen("train", "deepfashion/fusion", f"--set=data={sets / 'cfld'}", f"--set=output={tmp_path / 'run'}",
                      f"--set=start.clip={write_base_weights(tmp_path / 'base')['clip']}")  # fmt: skip
    assert refused.exit_code == 2
    assert "prepare it: signgen prepare DATA OUT" in refused.stderr


def test_inspect_counts_pairs(sets: Path) -> None:
    found = done("inspect", sets / "cfld")["splits"]["test"]
    assert (found["pairs"], found["pairs_known"], found["pictures"]) == (14, 8570, 8)
    assert (found["people"], found["outfits"], found["trunks_missing"]) == (3, 3, 0)
    table = read_table(sets / "cfld")
    missing = np.mean([picture.points[:, 2] == 0 for picture in table.pictures])
    assert found["points_missing"] == pytest.approx(missing, abs=1e-4)
    assert "30 pairs (the papers have 263,632; all of one outfit" in signgen("inspect", sets / "market").stdout
    refused = signgen("inspect", sets / "cfld", "--fps", 25)
    assert (refused.exit_code, "leave it out" in refused.stderr) == (2, True)


def test_options_of_clips_are_not_for_pairs(sets: Path, tmp_path: Path) -> None:
    for data, option, words in (
        (sets / "cfld", ["--triplets", 5], "error: --triplets: got it for a data set of pairs of pictures"),
        (tmp_path, ["--size", "48x64"], "error: --size: got it for a data set of clips"),
    ):
        refused = signgen("prepare", data, tmp_path / "out", *option)
        assert refused.exit_code == 2
        assert refused.stderr.startswith(words)
