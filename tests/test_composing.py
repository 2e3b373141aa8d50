"""Matte, plate and composer: which pixels are the person, what is behind, and what comes out of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_pipeline import make_pipeline, picture, signing
from training_runs import lines

from signgen import config as configuration
from signgen.dataset.cache import FrameCache, build_cache
from signgen.dataset.coarse import compose_coarse, read_coarse, render_coarse
from signgen.dataset.disturbance import Disturbance
from signgen.dataset.training_data import cache_folder
from signgen.errors import InputError
from signgen.keypoints.skeleton import FACE, HANDS, LEFT_ELBOW, LEFT_WRIST
from signgen.model.networks.composer import Composed, FrameComposer, SourceMatte, fill_plate
from signgen.model.regions import SourceRegions
from signgen.training.composing import _holes, composing_loss, matte_loss
from signgen.training.config import TrainConfig
from signgen.training.run import run_stage

SIZE = (80, 88)
TINY = {"widths": [8, 8, 8], "blocks": [1, 1]}


def test_a_plate_keeps_what_is_clear_and_fills_the_rest_from_around_it() -> None:
    across = torch.linspace(-1, 1, 64).expand(1, 3, 48, 64).clone()
    matte = torch.zeros(1, 1, 48, 64)
    matte[..., 10:, 20:40] = 1
    seen = across.clone()
    seen[..., 10:, 20:40] = 5  # the person, who must not be seen in the plate
    plate = fill_plate(seen, matte)
    clear = (matte == 0).expand_as(plate)
    assert torch.equal(plate[clear], across[clear])
    assert plate.abs().max() <= 1
    assert (plate - across).abs().mean() < 0.1
    assert fill_plate(seen, torch.ones_like(matte)).isfinite().all()  # the person is everywhere


def test_where_nobody_is_the_frame_is_the_plate_to_the_bit() -> None:
    torch.manual_seed(0)
    composer = FrameComposer(**TINY)
    painted, pose = torch.rand(2, 3, 32, 24) * 2 - 1, torch.rand(2, 3, 32, 24)
    plate, body = torch.rand(1, 3, 32, 24), torch.rand(2, 4, 16, 12)
    with torch.no_grad():
        composer.net.out.bias[:4] = -200
        nobody = composer(painted, plate, body, pose)
        assert torch.equal(nobody.frames, plate.expand(2, -1, -1, -1))
        composer.net.out.bias[:4] = 200
        everywhere = composer(painted, plate, body, pose)
        assert torch.allclose(everywhere.frames, everywhere.person, atol=1e-5)
        assert (everywhere.person - painted).abs().max() < 0.25, "new, it hardly changes what was painted"


def test_the_source_is_taken_where_it_is_known_alone() -> None:
    torch.manual_seed(0)
    composer = FrameComposer(**TINY)
    painted, plate = torch.zeros(1, 3, 32, 24), torch.zeros(1, 3, 32, 24)
    body = torch.zeros(1, 4, 16, 12)
    body[..., :8, :] = torch.tensor([0.5, -0.5, 0.25, 1.0])[None, :, None, None]
    with torch.no_grad():
        composer.net.out.weight.zero_()
        composer.net.out.bias[:8] = 200  # all is the person, all of whom is the source's
        person = composer(painted, plate, body, painted).person
    assert torch.allclose(person[..., :14, :], torch.tensor([0.5, -0.5, 0.25])[:, None, None].expand(3, 14, 24))
    assert not person[..., 18:, :].any()


def test_where_nobody_can_be_only_what_is_sure_is_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, around = make_pipeline((80, 88), refined=True, composed=True), np.zeros((88, 80), bool)
    around[:, 40:] = True
    for logit, there in ((1.0, False), (5.0, True)):
        monkeypatch.setattr(pipeline.matte, "forward", lambda canvas, pose, x=logit: torch.full_like(canvas[:, :1], x))
        found = pipeline.encode_backdrop(np.full((88, 80, 3), 90, np.uint8), around=around).matte
        assert (found[:, 40:] > 0).all()
        assert (found[:, :30] > 0).all() == (found[:, :30] > 0).any() == there


def test_a_sleeve_that_is_wider_than_expected_is_the_person_and_a_thing_beside_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline, around = make_pipeline((80, 88), refined=True, composed=True), np.zeros((88, 80), bool)
    around[:, 40:] = True

    def seen(canvas: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        found = torch.full_like(canvas[:, :1], 1.0)
        found[:, :, 44:, 36:38] = -9  # 80x88 lies on its canvas as it is
        return found

    monkeypatch.setattr(pipeline.matte, "forward", seen)
    found = pipeline.encode_backdrop(np.full((88, 80, 3), 90, np.uint8), around=around).matte > 0
    assert found[:40, 35:].all(), "it goes on without a gap"
    assert not found[:, :30].any(), "but not far"
    assert found[50:, 38:].all()
    assert not found[50:, :38].any(), "there is a gap"


def test_a_face_stays_as_it_was_painted() -> None:
    pipeline, clip = make_pipeline((80, 88), refined=True, composed=True), signing(2, (80, 88))
    painted = np.random.default_rng(0).integers(0, 256, (2, 88, 80, 3)).astype(np.uint8)
    backdrop = pipeline.encode_backdrop(np.full((88, 80, 3), 90, np.uint8))
    made, mattes = pipeline.compose(painted, pipeline.no_poses(2)[..., :3], clip.points, backdrop)
    faceless = clip.points.copy()
    faceless[:, FACE, 2] = 0
    composed, same = pipeline.compose(painted, pipeline.no_poses(2)[..., :3], faceless, backdrop)
    assert np.array_equal(mattes, same)
    low, high = clip.xy[:, FACE].min((0, 1)), clip.xy[:, FACE].max((0, 1))
    (left, top), (right, bottom) = low.astype(int), np.ceil(high).astype(int)
    face, around = np.zeros((2, 88, 80), bool), np.ones((2, 88, 80), bool)
    face[:, top + 2 : bottom - 2, left + 2 : right - 2] = True
    around[:, max(top - 40, 0) : bottom + 20, max(left - 20, 0) : right + 20] = False
    assert np.array_equal(made[around], composed[around])
    share = mattes[face][:, None] / 255
    wanted = composed[face] + share * (painted[face].astype(float) - composed[face])
    assert (made[face] != composed[face]).any()
    assert np.abs(made[face] - wanted).mean() < np.abs(made[face] - composed[face]).mean() / 2
    outside = clip.points - (*clip.xy[0, FACE].mean(0), 0)  # most of the face is beyond the frame's corner
    half, _ = pipeline.compose(painted, pipeline.no_poses(2)[..., :3], outside, backdrop)
    assert (half != composed).any()


def test_a_source_s_hand_that_was_not_found_is_not_taken_for_clothes() -> None:
    points = signing(1, (160, 176)).points[0]
    image = np.full((176, 160, 3), 90, np.uint8)
    lost = points.copy()
    lost[HANDS[0], 2] = 0
    (x, y), (elbow_x, elbow_y) = points[LEFT_WRIST, :2], points[LEFT_ELBOW, :2]
    beyond = round(y + 0.3 * (y - elbow_y)), round(x + 0.3 * (x - elbow_x))
    covered = [SourceRegions.of(image, given).pictures[0, 3:5] for given in (points, lost)]
    assert covered[1][:, beyond[0], beyond[1]].tolist() == [1, 1], "nor for a sleeve, which is known where no hand lies"
    assert covered[1][1].mean() > covered[1][0].mean() > 0.01
    unknown = lost.copy()
    unknown[LEFT_ELBOW, 2] = 0
    assert SourceRegions.of(image, unknown).pictures[0, 4][beyond] == 0, "nothing says where the hand may be"


def test_losses_are_least_for_the_truth() -> None:
    frames, matte = torch.rand(2, 3, 32, 24) * 2 - 1, (torch.rand(2, 1, 32, 24) > 0.5).float()
    right, _ = composing_loss(Composed(frames, frames, matte), frames, matte)
    assert float(right) < 1e-4
    for wrong in (Composed(frames + 0.1, frames, matte), Composed(frames, frames + 0.1 * matte, matte),
                  Composed(frames, frames, 1 - matte)):  # fmt: skip
        assert composing_loss(wrong, frames, matte)[0] > 0.03
    nobody = composing_loss(Composed(frames, frames + 9, 0 * matte), frames, 0 * matte)[0]
    assert float(nobody) < 1e-4, "what the person would look like counts only where there is one"
    assert matte_loss(20 * matte - 10, matte)[0] < 0.01 < 1 < matte_loss(10 - 20 * matte, matte)[0]


def test_holes_lie_where_the_source_is_known() -> None:
    inside = torch.zeros(1, 1, 48, 40)
    inside[..., 20:, 10:30] = 0.9
    for seed in range(5):
        holes = _holes(np.random.default_rng(seed), inside)
        assert 0.2 < holes.max() <= 0.9
        assert not holes[inside == 0].any()
    assert not _holes(np.random.default_rng(0), 0 * inside).any()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of one signer, whose mattes are known."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def clips():
        for number in range(2):
            frames = np.stack([picture(SIZE)] * 4) + rng.integers(0, 20, (4, SIZE[1], SIZE[0], 3)).astype(np.uint8)
            yield f"clip{number}", "s01", frames, signing(4, SIZE).points

    build_cache(clips(), cache_folder(folder))
    (folder / "matte").mkdir()
    matte = np.where(picture(SIZE)[..., 2] == 60, 255, 0).astype(np.uint8)
    for number in range(2):
        plate = np.full((SIZE[1], SIZE[0], 3), 180, np.uint8)
        np.savez_compressed(folder / "matte" / f"clip{number}.npz", matte=np.stack([matte] * 4), plate=plate)
    return folder


def _config(data: Path, output: Path, stage: str, **changes: object) -> TrainConfig:
    content = {
        "stage": stage, "data": str(data), "output": str(output), "steps": 30, "batch": 4, "threads": 1,
        "precision": "no", "sheet_steps": 30, "log_steps": 10, "optim": {"warmup": 1, "lr": 5e-3}, "model": TINY,
        "disturbance": {"share": 0.0}, **changes,
    }  # fmt: skip
    return configuration.build(TrainConfig, content)


def test_a_matte_is_learnt(data: Path, tmp_path: Path) -> None:
    run_stage(_config(data, tmp_path / "run", "matte"))
    told = [line["loss"] for line in lines(tmp_path / "run")]
    assert told[-1] < 0.6 * told[0]
    assert (tmp_path / "run/sheets/step-000030.png").is_file()
    assert SourceMatte.from_pretrained(tmp_path / "run/model/matte").config.widths == [8, 8, 8]
    again = _config(data, tmp_path / "more", "matte", steps=2, start={"matte": str(tmp_path / "run/model/matte")})
    assert run_stage(again)["finished"]


def test_a_composer_learns_from_what_the_model_paints(data: Path, tmp_path: Path) -> None:
    make_pipeline(SIZE).save_pretrained(tmp_path / "coarse")
    run_stage(_config(data, tmp_path / "run", "composer", start={"model": str(tmp_path / "coarse")}))
    told = lines(tmp_path / "run")
    assert told[-1]["matte"] < 0.8 * told[0]["matte"]
    assert told[-1]["loss"] < told[0]["loss"]
    assert FrameComposer.from_pretrained(tmp_path / "run/model/composer").config.blocks == [1, 1]
    assert (tmp_path / "run/sheets/step-000030.png").is_file()


def test_refiners_of_a_model_that_composes_learn_from_composed_frames(data: Path, tmp_path: Path) -> None:
    model = make_pipeline(SIZE, composed=True)
    model.save_pretrained(tmp_path / "model")
    folder = cache_folder(data)
    cache = FrameCache.open(folder)
    coarse = render_coarse(cache, folder, tmp_path / "model", 3, Disturbance(share=0.0))
    made = compose_coarse(cache, folder, coarse, tmp_path / "model")
    painted, composed = read_coarse(coarse, 0), read_coarse(made, 0)
    assert composed.source == painted.source
    assert np.array_equal(composed.driving, painted.driving)
    assert composed.frames.shape == painted.frames.shape
    assert not np.array_equal(composed.frames, painted.frames)
    written = [path.stat().st_mtime_ns for path in sorted(made.iterdir())]
    assert compose_coarse(cache, folder, coarse, tmp_path / "model") == made
    assert [path.stat().st_mtime_ns for path in sorted(made.iterdir())] == written, "what is there stays"
    torch.nn.init.normal_(model.composer.net.out.weight, std=0.3)
    model.save_pretrained(tmp_path / "other")
    assert compose_coarse(cache, folder, coarse, tmp_path / "other") != made


def test_without_mattes_nothing_can_be_learnt(data: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (4, SIZE[1], SIZE[0], 3)).astype(np.uint8)
    build_cache([("clip0", "s01", frames, signing(4, SIZE).points)], cache_folder(tmp_path / "bare"))
    with pytest.raises(InputError, match="no clip has a matte; draw the data set with signgen synthesize"):
        run_stage(_config(tmp_path / "bare", tmp_path / "run", "matte"))
