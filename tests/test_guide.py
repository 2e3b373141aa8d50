"""Guides: hands and the source's body beside the skeleton, from the picture to what the denoiser makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_pipeline import DENOISER, make_pipeline, weather
from tiny_pipeline import picture as tiny_picture

from signgen.keypoints.skeleton import FACE, LEFT_ELBOW, LEFT_HAND, LEFT_SHOULDER, LEFT_WRIST, RIGHT_SHOULDER
from signgen.model.engine import TorchEngine
from signgen.model.guide import CHANNELS, NOTHING, POSE, SOLID, draw_guides
from signgen.model.networks.denoiser import Denoiser
from signgen.model.regions import SourceRegions
from signgen.rendering.run import render
from signgen.rendering.source import Source
from signgen.training.starts import grow

SIZE = WIDTH, HEIGHT = 120, 140
GUIDED = {**DENOISER["pose"], "guide": CHANNELS}  # type: ignore[dict-item]
KNOWN = CHANNELS - 1


def person(move: tuple[float, float] = (0, 0), turn: float = 0.0) -> np.ndarray:
    """(133, 3): shoulders, a face that is turned by so many pixels, and a left arm with its hand at the lower right."""
    points = np.zeros((133, 3))
    points[LEFT_SHOULDER], points[RIGHT_SHOULDER], points[LEFT_ELBOW] = (90, 80, 1), (30, 80, 1), (110, 100, 1)
    angle = np.linspace(np.pi, 0, 17)
    face = np.zeros((68, 2))
    face[:17] = np.stack([20 * np.cos(angle), 24 * np.sin(angle)], 1)
    face[17:27] = np.stack([np.linspace(-15, 15, 10), np.full(10, -10)], 1)
    face[27:31] = [(turn, y) for y in (-6, -2, 2, 6)]
    face[31:36] = [(turn + x, 8) for x in (-4, -2, 0, 2, 4)]
    face[36:48] = [(x + 3 * np.cos(a), -5 + np.sin(a)) for x in (-9, 9) for a in np.linspace(0, 5, 6)]
    face[48:68] = [(turn + 7 * np.cos(a), 15 + 3 * np.sin(a)) for a in np.linspace(0, 6, 20)]
    points[FACE] = np.concatenate([face + (60, 40), np.ones((68, 1))], 1)
    points[LEFT_HAND] = (105, 130, 1)
    points[LEFT_HAND, :2] += np.random.default_rng(0).uniform(-6, 6, (21, 2))
    points[..., :2] += np.array(move) * (points[..., 2:] > 0)
    return points


def waves() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.rint(127.5 + 100 * np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], -1)).astype(np.uint8)


def half(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> float (H / 2, W / 2, 3) in [-1, 1]."""
    return image.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean((1, 3)) / 127.5 - 1


def body(driven: np.ndarray, source: np.ndarray | None = None) -> np.ndarray:
    """(H / 2, W / 2, 4) of one frame."""
    regions = SourceRegions.of(waves(), person() if source is None else source)
    return regions.body(driven[None], (0, 0), SIZE)[0].permute(1, 2, 0).numpy()


def test_in_its_own_pose_the_body_is_the_picture_but_for_the_arm() -> None:
    shown = body(person())
    arm = np.zeros(shown.shape[:2], bool)
    arm[43:70, 44:60] = True  # elbow to hand, with their soft edges
    assert shown[~arm, 3].min() > 0.99
    assert np.abs(shown[~arm, :3] - half(waves())[~arm]).max() < 0.02
    assert shown[65, 52, 3] < 0.01
    assert not shown[65, 52, :3].any()


def _dressed(frame: np.ndarray, given: np.ndarray, matte: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The body (H / 2, W / 2, 4) without arms and with them, of a source whose left forearm is red, in another pose."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = waves()
    image[np.abs(x - 109) < 9] = (250, 10, 10)
    regions = SourceRegions.of(image, given, matte=matte)
    plain = regions.body(frame[None], (0, 0), SIZE)
    return tuple(one[0].permute(1, 2, 0).numpy() for one in (plain, regions.with_arms(plain, frame[None], (0, 0))))  # type: ignore


def _armed(elbow: tuple[float, float], wrist: tuple[float, float]) -> np.ndarray:
    points = person()
    points[LEFT_ELBOW], points[LEFT_WRIST] = (*elbow, 1), (*wrist, 1)
    return points


def test_an_arm_goes_where_another_pose_has_it_without_its_hand() -> None:
    given, wanted = _armed((112, 84), (106, 126)), _armed((96, 106), (60, 112))
    plain, dressed = _dressed(wanted, given)
    row, column = 54, 41  # in the forearm, two fifths from the elbow
    assert dressed[row, column, 3] > 0.95
    assert np.abs(dressed[row, column, :3] - (250 / 127.5 - 1, 10 / 127.5 - 1, 10 / 127.5 - 1)).max() < 0.1
    assert np.abs(plain[row, column, :3] - dressed[row, column, :3]).max() > 0.3
    assert dressed[56, 30, 3] == 0.5, "there the source shows its hand, and the upper arm's sleeve is likely"
    assert np.array_equal(dressed[:33], plain[:33])
    assert np.array_equal(dressed[:, :18], plain[:, :18])


def test_an_arm_that_the_source_does_not_show_is_not_known() -> None:
    given, wanted = _armed((112, 84), (106, 126)), _armed((96, 106), (60, 112))
    beyond = given.copy()
    beyond[LEFT_WRIST, :2] = (150, 118)  # and the right arm is not seen either
    _, dressed = _dressed(wanted, beyond)
    assert dressed[54, 36, 3] == 0.5, "the upper arm's sleeve is likely"
    nowhere = given.copy()
    nowhere[LEFT_ELBOW, :2] = (150, 100)
    plain, dressed = _dressed(wanted, nowhere)
    assert np.array_equal(dressed, plain)
    _, dressed = _dressed(wanted, given, np.zeros((HEIGHT, WIDTH), np.uint8))  # what is there is no person
    assert dressed[54, 41].max() < 0.01
    short = _armed((96, 106), (97, 107))
    dressed, without = (_dressed(short, source)[1] for source in (given, beyond))
    assert np.array_equal(dressed, without), "a forearm that points at the camera shows no sleeve"


def test_a_moved_body_is_the_picture_moved_and_nothing_beyond_it() -> None:
    shown, own = body(person((20, -10))), half(waves())
    assert shown[10:, :9, 3].max() < 0.01  # left of the picture
    assert np.abs(shown[5:40, 12:40, :3] - own[10:45, 2:30]).max() < 0.03


def test_a_turned_head_fades_and_the_trunk_stays() -> None:
    front, turned = body(person()), body(person(turn=20))
    assert front[20, 30, 3] > 0.99
    assert turned[20, 30, 3] < 0.01
    assert turned[50, 30, 3] > 0.99


@pytest.mark.parametrize("who", ["source", "driven"])
def test_without_shoulders_nothing_is_known(who: str) -> None:
    without = person()
    without[LEFT_SHOULDER, 2] = 0
    shown = body(person(), without) if who == "source" else body(without)
    assert not shown.any()


def test_guides_lie_on_the_padded_canvas() -> None:
    solid = np.full((1, HEIGHT, WIDTH, SOLID), 7, np.uint8)
    source = SourceRegions.of(waves(), person())
    guides = draw_guides(person()[None], solid, [source], SIZE, (3, 5, 2, 2))
    assert guides.shape == (1, HEIGHT + 4, WIDTH + 8, CHANNELS)
    assert (guides[0, 2:-2, 3:-5, :SOLID] == 7).all()
    assert (guides[0, :2, :, :SOLID] == NOTHING).all()
    assert (guides[0, :, :2, KNOWN] == NOTHING).all()  # left of the picture
    inner = guides[0, 22:62, 43:83, SOLID:KNOWN].astype(int)
    assert np.abs(inner - (waves()[20:60, 40:80].astype(int) * 254 / 255 + 1)).max() < 25  # two pixels share a value
    assert (draw_guides(person()[None], None, [], SIZE, (0, 0, 0, 0)) == NOTHING).all()


def test_a_grown_denoiser_computes_what_it_did_and_can_learn_from_guides() -> None:
    torch.manual_seed(0)
    known = make_pipeline().denoiser
    grown = grow(known, {"pose": GUIDED}, lambda denoiser: None)
    pose, guide = torch.rand(2, POSE, 56, 48), torch.rand(2, CHANNELS, 56, 48)
    with torch.no_grad():
        features = grown.encode_pose(torch.cat([pose, guide], 1))
        first, before = (one.pose_encoder.net[0].weight for one in (grown, known))
        assert torch.equal(first[:, :-CHANNELS], before)
        assert not first[:, -CHANNELS:].any()
        # More channels may be added up in another order, which some CPUs show in the last bit.
        torch.testing.assert_close(features, known.encode_pose(pose), rtol=0, atol=1e-6)
        grown.pose_encoder.net[0].weight[:, -CHANNELS:].normal_()
        nothing = torch.full_like(guide, NOTHING / 255)
        assert torch.allclose(grown.encode_pose(torch.cat([pose, nothing], 1)), features, atol=1e-5)
        assert not torch.allclose(grown.encode_pose(torch.cat([pose, guide], 1)), features, atol=1e-2)
    assert isinstance(grown, Denoiser)


@pytest.mark.parametrize("known", [True, False])
def test_a_render_shows_its_model_guides(tmp_path: Path, known: bool) -> None:
    pipeline, clip, seen = make_pipeline(pose=GUIDED), weather(9), []

    class Watched(TorchEngine):
        def conditions(self, poses: np.ndarray, embedding: torch.Tensor | None) -> tuple:
            seen.append(poses)
            return super().conditions(poses, embedding)

    pipeline.engine = Watched(pipeline)
    source = Source(tiny_picture(), clip[:1] if known else None, "somebody", "image")
    whole = render(clip, source, pipeline, tmp_path / "whole")
    assert whole.frames == 9
    for poses in seen:
        assert poses.shape[1:] == (56, 48, POSE + CHANNELS)
        assert (poses[0, ..., POSE:] == NOTHING).all()  # the source's own view
        assert (poses[1:, ..., POSE : POSE + SOLID] != NOTHING).any((1, 2, 3)).all()
        assert (poses[1:, ..., -1] != NOTHING).any() == known
    # A frame that a window is given again is shown as it was, and so is a part of the clip.
    assert np.array_equal(seen[0][-1], seen[1][1])
    windows = len(seen)
    render(clip, source, pipeline, tmp_path / "part", frames=slice(4, 9))
    assert np.array_equal(seen[windows][1], seen[1][3])  # frame 4
