"""Crops of hands and faces: where they lie, what the source shows of them, and the way back into the frame."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_pipeline import make_pipeline, signing, weather
from tiny_pipeline import picture as tiny_picture

from signgen.errors import BadValue, Mismatch
from signgen.keypoints.skeleton import FACE, LEFT_HAND, MIRROR, RIGHT_HAND
from signgen.model.engine import TorchEngine
from signgen.model.networks.refiner import COARSE, INPUTS, KNOWN, REFERENCE, RegionRefiner
from signgen.model.regions import SourceRegions, centres, corners, head_turn, keep_faces, paste, region_crops
from signgen.rendering.run import render
from signgen.rendering.sample_windows import Shown
from signgen.rendering.scene import Scene
from signgen.rendering.settings import RenderResult
from signgen.rendering.source import Source
from signgen.video import read_frame

SIZE = WIDTH, HEIGHT = 120, 140
HAND = np.array([[0, 0], *[[-12 + 5 * f, -8 - 5 * k] for f in range(5) for k in range(4)]], np.float64)


def face(turn: float = 0.0) -> np.ndarray:
    """68 landmarks of a face about (0, 0), 40 px wide; ``turn`` moves its middle sideways."""
    angle = np.linspace(np.pi, 0, 17)
    points = np.zeros((68, 2))
    points[:17] = np.stack([20 * np.cos(angle), 24 * np.sin(angle)], 1)
    points[17:27] = np.stack([np.linspace(-15, 15, 10), np.full(10, -10)], 1)
    points[27:31] = [(turn, y) for y in (-6, -2, 2, 6)]
    points[31:36] = [(turn + x, 8) for x in (-4, -2, 0, 2, 4)]
    points[36:48] = [(x + 3 * np.cos(a), -5 + np.sin(a)) for x in (-9, 9) for a in np.linspace(0, 5, 6)]
    points[48:68] = [(turn + 7 * np.cos(a), 15 + 3 * np.sin(a)) for a in np.linspace(0, 6, 20)]
    return points


def person(
    left: tuple[float, float] = (85, 105), head: tuple[float, float] = (60, 40), turn: float = 0.0
) -> np.ndarray:
    """(133, 3): a left hand with its root at ``left``, a face about ``head``, nothing else."""
    points = np.zeros((133, 3))
    points[LEFT_HAND] = np.concatenate([HAND + left, np.ones((21, 1))], 1)
    points[FACE] = np.concatenate([face(turn) + head, np.ones((68, 1))], 1)
    return points


def picture(seed: int = 0) -> np.ndarray:
    """A smooth coloured picture: places can be told apart, and resampling changes little."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.stack([np.sin(x / 9 + seed), np.cos(y / 7), np.sin((x + y) / 11)], -1)
    return np.rint(127.5 + 100 * waves).astype(np.uint8)


def test_centres_need_enough_seen_points_near_the_frame() -> None:
    points = np.stack([person(), person(), person(left=(185, 105))])
    points[1, LEFT_HAND, 2] = 0.2
    found = centres(points, SIZE)
    low, high = HAND.min(0) + (85, 105), HAND.max(0) + (85, 105)
    assert found[0, 0] == pytest.approx((low + high) / 2)
    assert np.isnan(found[1, 0]).all()  # its points are not sure
    assert np.isnan(found[2, 0]).all()  # it lies outside
    assert np.isnan(found[:, 1]).all()  # no right hand is there
    assert np.isfinite(found[:, 2]).all()


def test_corners_stay_inside_the_frame() -> None:
    assert corners(np.array([[0.0, 0.0], [60.2, 70.4], [119, 139]]), 72, SIZE).tolist() == [[0, 0], [24, 34], [48, 68]]


def test_the_source_brought_to_its_own_place_is_itself() -> None:
    image, points = picture(), person()
    source = SourceRegions.of(image, points)
    place = np.array([[48, 60]])
    hands, known = source.hands(points[None], np.array([0]), place, 64)
    assert known.min() == 1
    expected = torch.from_numpy(image[60:124, 48:112]).permute(2, 0, 1) / 127.5 - 1
    assert (hands[0] - expected).abs().max() < 0.02
    place = np.array([[28, 8]])
    faces, known = source.faces(points[None], place, 64)
    inside = known[0, 0] == 1
    expected = torch.from_numpy(image[8:72, 28:92]).permute(2, 0, 1) / 127.5 - 1
    assert inside[32, 32]
    assert known[0, 0, 0, 0] == 0
    assert (faces[0] - expected).abs()[:, inside].max() < 0.02


def test_the_source_hand_moves_and_turns_with_the_palm() -> None:
    image, points = picture(), person()
    wanted = points.copy()
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    wanted[LEFT_HAND, :2] = HAND @ quarter.T + (60, 80)
    hands, _ = SourceRegions.of(image, points).hands(wanted[None], np.array([0]), np.array([[28, 48]]), 64)
    for offset in ((0, 0), (5, -10), (-8, -3)):
        x, y = np.rint(quarter @ offset + (60, 80)).astype(int)
        own = image[105 + offset[1], 85 + offset[0]] / 127.5 - 1
        assert hands[0, :, y - 48, x - 28].numpy() == pytest.approx(own, abs=0.03)


def test_the_other_hand_stands_in_mirrored_and_no_hand_is_no_knowledge() -> None:
    image, points = picture(), person()
    mirrored = points[MIRROR] * (-1, 1, 1) + (WIDTH - 1, 0, 0)
    right, known = SourceRegions.of(image, points).hands(mirrored[None], np.array([1]), np.array([[0, 60]]), 64)
    x, y = mirrored[RIGHT_HAND][0, :2].astype(int)
    assert known.min() == 1
    assert right[0, :, y - 60, x].numpy() == pytest.approx(image[105, 85] / 127.5 - 1, abs=0.03)
    points[LEFT_HAND, 2] = 0
    nothing, known = SourceRegions.of(image, points).hands(mirrored[None], np.array([1]), np.array([[0, 60]]), 64)
    assert not nothing.any()
    assert not known.any()


def test_a_face_counts_less_the_further_the_head_is_turned() -> None:
    source = SourceRegions.of(picture(), person())
    place = np.array([[28, 8]])
    middle = [float(source.faces(person(turn=turn)[None], place, 64)[1][0, 0, 32, 32]) for turn in (0, 14, 28)]
    assert middle[0] == 1
    assert 0 < middle[1] < 1
    assert middle[2] == 0
    unseen = person()
    unseen[FACE, 2] = 0
    assert np.isnan(head_turn(unseen[None])).all()
    assert not source.faces(unseen[None], place, 64)[1].any()


def test_what_the_sources_hand_covers_of_its_face_is_not_known() -> None:
    clear = SourceRegions.of(picture(), person()).faces(person()[None], np.array([[28, 8]]), 64)[1]
    before = SourceRegions.of(picture(), person(left=(62, 60))).faces(person()[None], np.array([[28, 8]]), 64)[1]
    assert clear[0, 0, 36, 30] == 1
    assert before[0, 0, 36, 30] == 0
    assert before[0, 0, 20, 45] == pytest.approx(1)


def test_crops_carry_what_was_painted_and_paste_brings_the_change_back() -> None:
    frames = np.stack([picture(), picture(1)])
    points = np.stack([person(), person(left=(30, 100))])
    crops = region_crops("hand", 64, frames, np.zeros_like(frames), points, None, [])
    assert crops.inputs.shape == (2, INPUTS, 64, 64)
    assert crops.which.tolist() == [0, 1]
    assert not crops.inputs[:, REFERENCE.start : KNOWN.stop].any()
    same = paste(frames, [(crops, crops.inputs[:, COARSE])])
    assert (same == frames).all()
    changed = paste(frames, [(crops, crops.inputs[:, COARSE] + 20 / 127.5)])
    (x, y), difference = crops.places[0], changed[0].astype(int) - frames[0]
    assert (difference[y + 32, x + 32] == 20).all()
    assert 0 <= difference[y + 32, x].max() < 3  # it fades out where the crop ends
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[y : y + 64, x : x + 64] = False
    assert not difference[outside].any()


def test_a_face_point_far_away_takes_no_memory_and_changes_no_other_frame() -> None:
    far = person()
    far[FACE.start + 16, 0] += 3_000  # an end of the jaw: the face reaches out of the frame
    people = np.stack([person(head=(4, 30)), far, person(head=(600, 40)), person()])
    composed, painted = np.stack([picture()] * 4), np.stack([picture(1)] * 4)
    mattes = np.full((4, HEIGHT, WIDTH), 200, np.uint8)
    tracemalloc.start()
    try:
        kept = keep_faces(composed, painted, mattes, people)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()
    for one in (0, 3):
        alone = keep_faces(composed[:1], painted[:1], mattes[:1], people[one : one + 1])
        assert np.array_equal(kept[one], alone[0])
    assert np.array_equal(kept[2], composed[2])
    assert np.array_equal(keep_faces(composed[:1], painted[:1], mattes[:1], people[2:3]), composed[:1])
    margin = ((0, 0), (40, 40), (40, 40))  # in a larger frame the same faces are whole
    wide, moved = [np.pad(part, (*margin, (0, 0))) for part in (composed, painted)], people.copy()
    moved[..., :2] += 40
    larger = keep_faces(*wide, np.pad(mattes, margin), moved)
    assert np.array_equal(larger[:, 40:-40, 40:-40], kept)
    assert (kept[1] != composed[1]).any()


def test_a_new_refiner_changes_nearly_nothing_and_can_take_the_source() -> None:
    torch.manual_seed(0)
    refiner = RegionRefiner(side=16)
    crops = torch.rand(2, INPUTS, 16, 16) * 2 - 1
    crops[:, KNOWN] = 1
    with torch.no_grad():
        shy = refiner(crops)
        assert (shy - crops[:, COARSE]).abs().max() < 0.2
        refiner.out.weight.zero_()
        refiner.out.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 20.0]))
        assert refiner(crops) == pytest.approx(crops[:, REFERENCE], abs=1e-4)
        crops[:, REFERENCE.start : KNOWN.stop] = 0  # nothing is known: nothing can be taken
        assert refiner(crops) == pytest.approx(crops[:, COARSE], abs=1e-6)
    with pytest.raises(BadValue):
        RegionRefiner(side=20)


def test_hands_of_a_part_are_fitted_as_in_the_whole_clip() -> None:
    pipeline, clip = make_pipeline(refined=True), weather(20)
    scene = Scene(tiny_picture(), clip[:1], clip, None, None, [])  # type: ignore[arg-type]
    whole, smeared = Shown(pipeline, scene, 0, 1.0).hands(0, 20)
    assert (whole != smeared).any((1, 2, 3)).any()
    assert (whole != 128).any((1, 2, 3)).all()
    shown = Shown(pipeline, scene, 2, 1.0)
    done = 0
    for start, stop in ((7, 12), (10, 17), (16, 20)):  # windows that overlap by 0, 2 and 1 frames
        crisp, moved = shown.hands(start, stop - start)
        new = moved[max(done - start, 0) :]
        assert np.array_equal(crisp, whole[start:stop])
        assert np.array_equal(new, smeared[stop - len(new) : stop])
        done = stop


def test_fast_hands_of_a_render_are_smeared_where_it_is_asked_for(tmp_path: Path) -> None:
    pipeline, clip = make_pipeline(refined=True), weather(20)
    for part in pipeline.refiners.values():
        torch.nn.init.normal_(part.out.weight, std=0.2)
    source = Source(tiny_picture(), clip[:1], "somebody", "image")

    def frames(name: str, **options: float) -> tuple[np.ndarray, RenderResult]:
        result = render(clip, source, pipeline, tmp_path / name, **options)
        return np.stack([read_frame(tmp_path / name, frame) for frame in range(result.frames)]), result

    (own, as_before), (crisp, _), (smeared, warned) = (
        frames("own"),
        frames("crisp", shutter=0.0),
        frames("s", shutter=1.0),
    )
    assert np.array_equal(own, crisp)
    assert as_before.shutter == 0
    assert not as_before.warnings
    changed = (smeared != crisp).any((1, 2, 3))
    assert changed.any()
    assert not changed[0]  # no frame is known before it
    assert warned.shutter == 1
    assert "crisp hands" in warned.warnings[0]
    assert json.loads(warned.manifest.read_text())["configuration"]["shutter"] == 1
    with pytest.raises(Mismatch, match="paints no hands again"):
        render(clip, source, make_pipeline(), tmp_path / "no", shutter=0.5)


@pytest.mark.parametrize("known", [True, False])
def test_a_render_is_refined_with_and_without_knowing_where_the_source_stands(tmp_path: Path, known: bool) -> None:
    pipeline, clip = make_pipeline(refined=True), signing(5)
    seen = []

    class Watched(TorchEngine):
        def refine(self, name: str, crops: torch.Tensor) -> torch.Tensor:
            seen.append((name, crops))
            return super().refine(name, crops)

    pipeline.engine = Watched(pipeline)
    source = Source(tiny_picture(), clip[:1] if known else None, "somebody", "image")
    result = render(clip, source, pipeline, tmp_path / "frames")
    assert result.frames == 5
    assert {name for name, _ in seen} == {"hand_refiner", "face_refiner"}
    assert sum(len(crops) for name, crops in seen if name == "hand_refiner") == 10
    assert any(bool(crops[:, KNOWN].any()) for _, crops in seen) == known
