"""Truths about content version 5: shutter, mattes and plates, mouths, signers in number, hair, clothes, light."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from signgen.augmentation.signers import BODIES
from signgen.errors import BadValue
from signgen.package import SIGNERS
from signgen.synthetic.body.mesh import HAIR
from signgen.synthetic.body.template import load_shape, template
from signgen.synthetic.dataset import Plan, draw_clip, figure_of, pick_signers, settings_of, write_dataset
from signgen.synthetic.dress.cloth_cuts import cloth_cut
from signgen.synthetic.dress.locks import FREE, GROWTHS
from signgen.synthetic.dress.looks import draw_look
from signgen.synthetic.motion.face import CLEAR_VISEMES, VISEMES, Expression, FaceTrack
from signgen.synthetic.motion.posture import Pose
from signgen.synthetic.picture.backdrop import BACKDROPS, SHEET, drawn_backdrop
from signgen.synthetic.picture.camera import Camera
from signgen.synthetic.picture.figure import Figure, rest_pose
from signgen.synthetic.picture.finish import Finish
from signgen.synthetic.picture.landmarks import rest_points
from signgen.synthetic.picture.shade import CHECKS
from signgen.synthetic.picture.shadows import drawn_studio
from signgen.synthetic.signer import HELD_OUT, TRAINING_SIGNERS, blended_shape, dress, load_signer, signer_names

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
SIZE = (84, 104)
SMALL = {"frames": (8, 8), "size": SIZE}
VERSION_4 = np.array(  # mean brightness of 4 x 4 parts of frame 3 of a clip of version 4
    [
        [214.69, 151.43, 181.74, 214.69],
        [215.83, 130.47, 140.77, 218.33],
        [163.65, 47.84, 29.97, 205.68],
        [184.16, 78.85, 57.38, 227.22],
    ]
)


def test_version_4_is_drawn_as_it_always_was() -> None:
    plan = Plan(0, "train", ("s16",), frames=(8, 8), version=4)
    image = [image for image, _ in draw_clip(plan, 0)][3]
    parts = image.mean(2)[:, :208].reshape(4, 65, 4, 52).mean((1, 3))
    np.testing.assert_allclose(parts, VERSION_4, atol=0.1)
    assert settings_of(plan) == {
        "version": 4, "seed": 0, "split": "train", "signers": ["s16"], "frames": [8, 8], "size": [210, 260]
    }  # fmt: skip


def test_versions_and_shutters_that_do_not_exist_are_refused() -> None:
    for wrong in ({"version": 3}, {"shutter": 1.2}, {"version": 4, "shutter": 0.5}):
        with pytest.raises(BadValue):
            Plan(0, "train", ("s01",), **wrong)


# ---- signers ---------------------------------------------------------------------------------------------------------


def test_two_hundred_signers_of_whom_none_is_held_out() -> None:
    names = pick_signers("200", "train")
    assert len(set(names)) == 200
    assert not set(names) & set(HELD_OUT)
    assert len(signer_names()) == TRAINING_SIGNERS
    assert names[:80] == tuple(signer_names(4))


def test_mixed_bodies_differ_as_much_as_baked_ones_and_from_the_held_out() -> None:
    part = template().part("head")
    mixed = [blended_shape(f"s{number}") for number in (81, 82, 130, 160, 200)]
    heads = [shape.rest[part] - shape.rest[part].mean(0) for shape in mixed]
    others = [load_shape(name).rest[part] for name in (*HELD_OUT, "s01", "s02", "s03", "s04", "s05")]
    others = [head - head.mean(0) for head in others]
    apart = [np.linalg.norm(a - b, axis=1).mean() for k, a in enumerate(heads) for b in heads[:k] + others]
    baked = [np.linalg.norm(a - b, axis=1).mean() for k, a in enumerate(others) for b in others[:k]]
    assert min(apart) > 0.5 * min(baked)
    assert 0.6 < np.mean(apart) / np.mean(baked) < 1.6
    assert all((shape.phenotype["gender"] > 0.5) == (int(shape.name[1:]) % 2 == 0) for shape in mixed)


def test_looks_cover_skin_hair_patterns_and_sleeves() -> None:
    looks = [draw_look(name, load_shape(name).phenotype) for name in signer_names(4)]
    skins = np.array([look.skin[0] for look in looks])
    assert skins.min() < 0.35
    assert skins.max() > 0.8
    assert len({look.hair for look in looks}) >= 12
    assert len({look.pattern for look in looks}) >= 5
    assert 0.05 < np.mean([look.short > 0 for look in looks]) < 0.4
    assert 0.05 < np.mean([look.earrings > 0 for look in looks]) < 0.5
    assert looks[3] == draw_look("s04", load_shape("s04").phenotype)


@pytest.mark.parametrize("hair", sorted(GROWTHS))
def test_every_cut_of_hair_lies_on_the_head_and_out_of_the_face(hair: str) -> None:
    shape = load_shape("s02")
    look = replace(draw_look("s02", shape.phenotype), hair=hair, hair_length=0.2, hair_volume=0.012, glasses="none")
    signer = dress(shape, look)
    surface = signer.surface
    used = surface.vertices[np.unique(surface.faces[surface.material == HAIR])]
    assert len(used) > 3000
    head = shape.rest[template().part("head")]
    centre = head.mean(0)
    assert np.isfinite(used).all()
    assert (np.linalg.norm(used - centre, axis=1) < (0.45 if hair in FREE else 0.30)).all()
    face = rest_points(signer)[23:91]
    x, z = face[:, 0], face[:, 2]
    low, high = z[48:].min(), z[36:48].max()  # from the lips to the eyes
    before = (used[:, 1] < centre[1] - 0.05) & (np.abs(used[:, 0]) < 0.55 * np.abs(x).max())
    assert (before & (used[:, 2] > low) & (used[:, 2] < high)).mean() < 0.002


def test_short_sleeves_end_on_the_upper_arm() -> None:
    look = replace(draw_look("s02", load_shape("s02").phenotype), short=0.16, neckline="crew")
    points = template().canonical
    cut = cloth_cut(look, points)
    arm = np.abs(points[:, 0]) > 0.23
    hand, shoulder = np.abs(points[:, 0]) > 0.45, arm & (np.abs(points[:, 0]) < 0.25) & (points[:, 2] > 0.66)
    assert (cut[hand] < 0).all()
    assert (cut[shoulder] > 0).mean() > 0.9


def test_patterns_show_on_cloth_and_nowhere_else() -> None:
    shape = load_shape("s02")
    plain = replace(draw_look("s02", shape.phenotype), pattern=0, neckline="crew", short=0.0, hair="bald")
    checked = replace(plain, pattern=CHECKS, pattern_size=0.05, pattern_colour=(0.8, 0.1, 0.1))
    camera = Camera()
    one, two = (Figure(dress(shape, look), SIZE, seed=3, camera=camera, finished=False) for look in (plain, checked))
    a, b = one.draw([rest_pose()]), two.draw([rest_pose()])
    changed = np.abs(a.image.astype(int) - b.image).max(2)
    assert changed.max() > 40
    face = a.xy[23:91].round().astype(int)
    assert changed[face[:, 1], face[:, 0]].max() < 12
    assert changed[a.matte == 0].max() <= 1  # of 255, from the blur


# ---- exposures -------------------------------------------------------------------------------------------------------


def test_a_closed_shutter_is_one_instant_and_an_open_one_leaves_no_gaps() -> None:
    crisp, open_ = (Plan(4, "train", ("s01",), shutter=shutter) for shutter in (0.0, 0.6))
    movement = crisp.perform(0)
    assert {len(poses) for poses in crisp.exposures(0, movement)} == {1}
    exposures = open_.exposures(0, movement)
    counts = np.array([len(poses) for poses in exposures])
    assert (counts % 2 == 1).all()
    assert counts.max() > 20
    times = [crisp.exposures(0, movement)[k][0].rotations for k in range(len(exposures))]
    middles = [poses[len(poses) // 2].rotations for poses in exposures]
    np.testing.assert_allclose(np.stack(times), np.stack(middles), atol=1e-6)
    twice = replace(open_, size=(420, 520)).exposures(0, movement)
    assert sum(map(len, twice)) > 1.5 * counts.sum()


def test_more_exposures_would_not_change_a_fast_hand() -> None:
    """Six exposures of a fast hand are a fan of ghosts: they are far from the smear of many. Ours are not."""
    plan = Plan(4, "train", ("s01",), shutter=0.6)
    movement = plan.perform(0)
    counts = [len(poses) for poses in plan.exposures(0, movement)]
    fast = int(np.argmax(counts))
    assert counts[fast] > 18
    pixel = plan.camera(0).mm / 1000
    figure = Figure(load_signer("s01"), seed=plan.camera_seed(0), finished=False)
    fine = figure.draw(movement.exposures(0.6, 0.5 * pixel)[fast])
    ours = figure.draw(plan.exposures(0, movement)[fast])
    few = figure.draw(movement.exposures(0.6)[fast])
    smeared = (fine.matte > 10) & (fine.matte < 245)
    away = [np.abs(one.matte.astype(int) - fine.matte)[smeared].mean() for one in (ours, few)]
    assert away[0] < 6
    assert away[1] > 2 * away[0]


def test_clips_have_shutters_of_their_own() -> None:
    plan = Plan(0, "train", ("s01",))
    shutters = [plan.open_shutter(index) for index in range(60)]
    assert 2 <= shutters.count(0.0) <= 25
    assert all(s == 0 or 0.2 <= s <= 0.65 for s in shutters)
    assert len(set(shutters)) > 20
    assert Plan(0, "train", ("s01",), version=4).open_shutter(0) == 0.55


# ---- picture ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figure() -> Figure:
    return Figure(load_signer("s02"), (210, 260), seed=11, finished=False)


def test_the_plate_is_what_the_matte_leaves_open(figure: Figure) -> None:
    frame, plate = figure.draw([rest_pose()]), figure.plate()
    away = np.abs(frame.image.astype(int) - plate).max(2)
    assert away[frame.matte == 0].max() <= 1
    assert 0.2 < (frame.matte == 255).mean() < 0.7
    columns, rows = frame.xy[[0, 5, 6, 31, 53]].round().astype(int).T
    assert (frame.matte[rows, columns] == 255).all()
    assert 0.002 < ((frame.matte > 0) & (frame.matte < 255)).mean() < 0.1


def test_twice_the_size_is_the_same_picture(figure: Figure) -> None:
    large = Figure(load_signer("s02"), (420, 520), seed=11, finished=False).draw([rest_pose()])
    small = figure.draw([rest_pose()])
    np.testing.assert_allclose(large.xy, 2 * small.xy, atol=1e-3)
    reduced = large.image.reshape(260, 2, 210, 2, 3).astype(float).mean((1, 3))
    assert np.abs(reduced - small.image).mean() < 2.0


def test_lights_come_from_many_sides_in_many_colours_and_shadows_differ_in_softness() -> None:
    studios = [drawn_studio(seed) for seed in range(80)]
    keys = np.array([studio.key for studio in studios])
    np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1, atol=1e-6)
    assert (keys[:, 1] < 0.15).all()  # never from behind
    assert (keys[:, 0] > 0.3).sum() >= 8
    assert (keys[:, 0] < -0.3).sum() >= 8
    warm = np.array([studio.key_power[0] / studio.key_power[2] for studio in studios])
    assert warm.max() > 1.1
    assert warm.min() < 0.95
    spread = np.array([studio.spread for studio in studios])
    assert spread.max() > 4 * spread.min()
    assert drawn_studio(5) == drawn_studio(5)


@pytest.mark.parametrize("kind", BACKDROPS)
def test_backdrops_are_the_same_at_any_size_and_differ_by_seed(kind: str) -> None:
    large = drawn_backdrop(4, SHEET, kind)
    assert large.shape == (520, 420, 3)
    assert large.min() > 0
    assert large.max() <= 1
    small = drawn_backdrop(4, (210, 260), kind)
    np.testing.assert_allclose(large.reshape(260, 2, 210, 2, 3).mean((1, 3)), small, atol=0.02)
    assert np.abs(drawn_backdrop(5, (210, 260), kind) - small).mean() > 0.01


def test_a_finish_is_the_same_in_all_frames_but_for_its_grain() -> None:
    flat = np.full((60, 50, 3), 0.5, np.float32)
    finish = Finish(0.5, noise=0.01, coarse=0.5, colour_noise=0.003, quality=70)
    grain = np.random.default_rng(1)
    first, second = finish.applied(flat, 1.0, grain), finish.applied(flat, 1.0, grain)
    assert 0.5 < first.astype(float).std() < 6
    assert (first != second).any()
    clean = finish.clean()
    assert clean.applied(flat, 1.0, grain).std() == 0
    drawn = [Finish.drawn(seed) for seed in range(100)]
    assert Finish.drawn(3) == drawn[3]
    assert 0.3 < np.mean([one.noise > 0 for one in drawn]) < 0.9
    assert 0.3 < np.mean([one.quality > 0 for one in drawn]) < 0.7
    step = np.zeros((40, 40, 3), np.float32)
    step[:, 20:] = 0.6
    sharp, soft = (Finish(0.4, halo=halo).applied(step, 1.0, grain).astype(int) for halo in (0.6, 0.0))
    assert sharp[20, 20:].max() > soft[20, 20:].max() + 5  # the halo of sharpening


# ---- mouths ----------------------------------------------------------------------------------------------------------


def opening(signer, face: dict[str, float]) -> float:
    """Gap between the lips over the width of the mouth."""
    points = rest_points(signer, face)[23:91]
    return float(np.linalg.norm(points[62] - points[66]) / np.linalg.norm(points[48] - points[54]))


def test_mouth_shapes_that_are_named_are_the_ones_that_are_shown() -> None:
    track = FaceTrack([Expression("MAMA", 10, 40)], 60, np.random.default_rng(0), version=5)
    track._mouthed[:] = True
    times = np.arange(60.0)
    names = [list(VISEMES)[k] if k >= 0 else "" for k in track.visemes(times)]
    assert names[0] == names[-1] == "rest"
    assert set(names) == {"rest", "", "m", "a"}
    signer, faces = load_signer("s01"), track.at(times)
    gaps = {name: [opening(signer, faces[k]) for k in range(60) if names[k] == name] for name in ("a", "m", "rest")}
    assert min(gaps["a"]) > 1.3 * max(gaps["m"])
    assert np.mean(gaps["a"]) > 0.2
    assert max(gaps["m"]) < 0.12


def test_open_mouths_show_teeth_and_lips_close() -> None:
    """Of the pixels between the lips some are bright where teeth are to be seen, and there are none where lips meet."""
    assert set(CLEAR_VISEMES) == set(VISEMES)
    signer = load_signer("s05")
    camera = Camera(mm=1.15, x=105, top=22, squeeze=0.95)
    figure = Figure(signer, (300, 372), seed=8, camera=camera, finished=False)
    sides = lambda face: {  # noqa: E731
        name + side: weight for name, weight in face.items() for side in ("", "Left", "Right")
        if name + side in template().action_names
    }  # fmt: skip

    def inside(viseme: str) -> np.ndarray:
        frame = figure.draw([Pose(rest_pose().rotations, sides(CLEAR_VISEMES[viseme]))])
        lips = frame.xy[23 + 60 : 23 + 68]
        left, right = lips[0, 0], lips[4, 0]
        rows = slice(int(lips[1:4, 1].min()) + 1, int(lips[5:8, 1].max()))
        columns = slice(int(left + 0.3 * (right - left)), int(right - 0.3 * (right - left)))
        return frame.image[rows, columns].astype(float)

    teeth = inside("e")
    assert teeth.size
    assert np.quantile(teeth.min(2), 0.95) > 70  # bright in all colours
    assert inside("m").shape[0] <= 3


# ---- files -----------------------------------------------------------------------------------------------------------


def test_clips_come_with_matte_plate_shutter_and_mouth_shapes(tmp_path: Path) -> None:
    from PIL import Image

    plan = Plan(5, "train", ("s01", "s150"), shutter=0.25, **SMALL)
    write_dataset(tmp_path, plan, 2)
    for index in range(2):
        name = plan.name(index)
        with np.load(tmp_path / "matte" / f"{name}.npz") as stored:
            matte, plate = stored["matte"], stored["plate"]
        assert matte.shape == (8, *SIZE[::-1])
        assert matte.dtype == plate.dtype == np.uint8
        np.testing.assert_array_equal(plate, figure_of(plan, index).plate())
        frame = np.array(Image.open(next(tmp_path.rglob(f"{name}/images0003.png")))).astype(float)
        free = matte[2] == 0
        assert np.abs(frame - plate)[free].mean() < 12  # grain and compression
        with np.load(tmp_path / "keypoints" / f"{name}.npz") as stored:
            assert float(stored["shutter"]) == 0.25
            assert stored["visemes"].shape == (8,)
            assert stored["viseme_names"].tolist() == list(VISEMES)
            np.testing.assert_array_equal(stored["visemes"], plan.perform(index).visemes())
    settings = json.loads((tmp_path / "synthetic.json").read_text())["splits"]["train"]["settings"]
    assert (settings["version"], settings["shutter"]) == (5, 0.25)


# ---- built-in signers ------------------------------------------------------------------------------------------------


def test_pictures_of_built_in_signers_face_the_camera_with_both_hands_open_and_apart() -> None:
    tool = importlib.import_module("make_signer_pictures")
    assert set(tool.CAST) == {path.stem for path in SIGNERS.glob("*.png")}
    bodies = sorted(part.body for part in tool.CAST.values())
    assert tuple(bodies) == BODIES  # nobody is a drawn signer of an augmentation, too
    assert not set(bodies) & set(HELD_OUT)
    for name in ("alma", "femi"):
        points = tool.portrait(tool.CAST[name], (105, 130)).xy
        left, right = points[91:112], points[112:133]
        assert left[:, 0].min() - right[:, 0].max() > 15  # pixels of 105
        assert min(right.min(), (np.array([105, 130]) - left).min()) > 3
        for hand in (left, right):  # open: finger tips far from the palm and from each other
            tips = hand[[8, 12, 16, 20]]
            assert np.linalg.norm(tips - hand[[5, 9, 13, 17]], axis=1).min() > 4
            assert np.linalg.norm(np.diff(tips, axis=0), axis=1).min() > 2
        eyes, nose = points[[1, 2], 0], points[0, 0]
        assert abs(eyes.mean() - nose) < 0.1 * np.ptp(eyes)  # the face is turned to nobody else
        mouth = points[23 + 48 : 23 + 68]
        assert mouth[[0, 6], 1].mean() < mouth[[14, 18], 1].mean() + 0.3  # its corners do not hang
