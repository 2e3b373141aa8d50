"""The source's own backdrop behind what is painted, another one, or none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_pipeline import FRAME, make_pipeline, picture, signing
from torch import Tensor, nn
from torch.nn import functional

from signgen.errors import InputError
from signgen.model import SignGenPipeline
from signgen.model.networks.composer import fill_plate
from signgen.model.regions import hidden_by
from signgen.rendering import render
from signgen.rendering.background import Cutout, load_background
from signgen.rendering.framing import Framing
from signgen.rendering.source import Source
from signgen.video import read_frames

LIGHT = 0.3  # grey value in [-1, 1]; what is darker is the person


class Dark(nn.Module):
    """In a matte's place: what is dark in the picture is the person."""

    def __init__(self) -> None:
        super().__init__()
        self.light = nn.Parameter(torch.tensor(LIGHT))

    def forward(self, half: Tensor) -> Tensor:
        grey = half[:, :12].unflatten(1, (3, 4)).mean(1)  # (N, 4, h, w), four pixels to a cell
        return functional.pixel_shuffle(200 * (self.light - grey), 2)  # (N, 1, H, W)


class Middle(nn.Module):
    """In a composer's place: the middle third is the person, with soft sides, and painted as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.steep = nn.Parameter(torch.tensor(1.0))

    def forward(self, half: Tensor) -> Tensor:
        count, _, down, across = half.shape
        columns = torch.arange(2 * across, dtype=half.dtype)
        inside = self.steep * (across / 3 - (columns - across).abs())  # 0 at the sides
        logits = inside.expand(count, 1, 2 * down, -1)
        return torch.cat([logits, torch.full_like(logits, -200.0), torch.zeros_like(logits).expand(-1, 3, -1, -1)], 1)


@pytest.fixture(scope="module")
def pipeline() -> SignGenPipeline:
    made = make_pipeline(refined=True, composed=True)
    made.matte.net, made.composer.net = Dark(), Middle()
    return made


@pytest.fixture
def source() -> Source:
    """A dark person before light grey with a pattern."""
    image = picture()
    image[::3, :, 0] = np.where(image[::3, :, 0] == 180, 220, image[::3, :, 0])
    return Source(image, signing(1), "anna", "image")


def _render(pipeline: SignGenPipeline, source: Source, output: Path, frames: int = 6, **options: object) -> np.ndarray:
    """The frames as they are in the files, of a folder with alpha where it has any."""
    render(signing(frames), source, pipeline, output, **options)
    if output.is_dir():
        return np.stack([np.asarray(Image.open(path)) for path in sorted(output.glob("*.png"))])
    return np.stack(list(read_frames(output)))


def test_what_a_matte_misses_of_somebody_is_hidden_all_the_same() -> None:
    matte, points = np.zeros((52, 42), np.uint8), np.zeros((133, 3))
    matte[10:20, 15:28], matte[14, 20] = 255, 0
    assert np.array_equal(hidden_by(matte, None)[:20], np.pad(np.ones((10, 13), bool), ((10, 0), (15, 14))))
    points[[5, 6]] = (28, 20, 0.9), (12, 20, 0.9)
    points[100] = 36, 8, 0.9
    found = hidden_by(matte, points)
    assert found[20:, 12:28].all(), "the trunk goes down to the edge"
    assert not found[:, :11].any()
    assert found[8, 36]
    points[..., 2] = 0.1
    assert np.array_equal(hidden_by(matte, points), hidden_by(matte, None))


def test_a_plate_is_filled_from_beside_before_it_is_from_above() -> None:
    down = torch.linspace(-1, 1, 64)[None, None, :, None].expand(1, 3, 64, 48)
    matte = torch.zeros(1, 1, 64, 48)
    matte[..., 8:, 12:36] = 1
    assert (fill_plate(down * (1 - matte) + 9 * matte, matte) - down).abs().mean() < 0.02


def test_the_plate_is_the_picture_without_the_person(pipeline: SignGenPipeline, source: Source) -> None:
    backdrop = pipeline.encode_backdrop(source.image)
    person = source.image[..., 2] == 60
    assert np.array_equal(backdrop.matte > 127, person)
    plate = pipeline.plate_of(backdrop)
    near = functional.max_pool2d(torch.from_numpy(person).float()[None, None], 7, 1, 3)[0, 0].numpy() > 0
    assert np.array_equal(plate[~near], source.image[~near])
    assert plate[person].min() > 150, "nothing of the person is left"


def test_nothing_of_the_backdrop_moves(pipeline: SignGenPipeline, source: Source, tmp_path: Path) -> None:
    made = _render(pipeline, source, tmp_path / "own")
    clear = _render(pipeline, source, tmp_path / "clear", background="none")
    assert (clear[..., 3][:, :, [0, -1]] == 0).all(), "nobody is at the sides"
    assert (clear[..., 3][:, :, FRAME[0] // 2] == 255).all(), "the middle is the person alone"
    plate = pipeline.plate_of(pipeline.encode_backdrop(source.image, None, source.keypoints.points[0]))
    assert (made[:, :, :4] == plate[:, :4]).all()
    assert (made[:, :, -4:] == plate[:, -4:]).all()
    assert (np.ptp(made[:, :, FRAME[0] // 2].astype(int), axis=0) > 0).any(), "what is painted moves"


@pytest.mark.parametrize("background", ["#00b140", "image"])
def test_another_background_is_seen_where_nobody_is(
    pipeline: SignGenPipeline, source: Source, tmp_path: Path, background: str
) -> None:
    wanted = np.empty((2 * FRAME[1], 2 * FRAME[0], 3), np.uint8)
    wanted[:] = (0, 177, 64)
    if background == "image":
        background = str(tmp_path / "wall.png")
        wanted[..., 0] = np.linspace(0, 255, 2 * FRAME[1])[:, None]
        Image.fromarray(wanted).save(background)
    plain = _render(pipeline, source, tmp_path / "own")
    alpha = _render(pipeline, source, tmp_path / "none", background="none")
    made = _render(pipeline, source, tmp_path / "out", background=background)
    fitted = load_background(background).of_size(FRAME)
    share = alpha[..., 3:] / 255.0
    plate = pipeline.plate_of(pipeline.encode_backdrop(source.image, None, source.keypoints.points[0])).astype(float)
    mixed = plain + (1 - share) * (fitted - plate)
    assert np.abs(made - mixed.clip(0, 255)).max() <= 1.5
    over = alpha[..., :3] * share + fitted * (1 - share)  # as an editor would lay the transparent frames over it
    assert np.percentile(np.abs(made - over), 90) < 2
    configuration = json.loads((tmp_path / "out.json").read_text())["configuration"]
    assert configuration["background"] == background


def test_webm_keeps_the_transparency(pipeline: SignGenPipeline, source: Source, tmp_path: Path) -> None:
    import imageio_ffmpeg

    flat = _render(pipeline, source, tmp_path / "frames", background="none")
    result = render(signing(6), source, pipeline, tmp_path / "out.webm", background="none", compare=tmp_path / "c.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-c:v", "libvpx-vp9", "-i", str(result.output)]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgba", "-"], capture_output=True, check=True).stdout
    alpha = np.frombuffer(raw, np.uint8).reshape(6, FRAME[1], FRAME[0], 4)[..., 3]
    assert np.abs(alpha.astype(int) - flat[..., 3]).mean() < 12
    assert alpha.min() < 40 < 200 < alpha.max()
    assert len(list(read_frames(tmp_path / "c.mp4"))) == 6


def test_a_canvas_inside_of_the_output_is_cut_out_with_it() -> None:
    image = picture()
    matte = np.where(image[..., 2] == 60, 255, 0).astype(np.uint8)
    plate = np.full_like(image, 180)
    output = (2 * FRAME[0] + 20, FRAME[1] + 40)
    framing = Framing(output, FRAME, output, 30, 10, *FRAME)
    cutout = Cutout(load_background("#102030"), image, plate, matte, framing)
    frame = cutout.surroundings.copy()
    frame[10 : 10 + FRAME[1], 30 : 30 + FRAME[0]] = image
    made = cutout.cut(frame, matte)
    assert (made[:8] == (16, 32, 48)).all()
    assert (made[:, :25] == (16, 32, 48)).all()
    middle = made[10 + FRAME[1] // 2, 30 + FRAME[0] // 2]
    assert np.array_equal(middle, (40, 35, 60))
    below = made[14 + FRAME[1], 30 + FRAME[0] // 2].astype(int)
    assert np.abs(below - (40, 35, 60)).max() < 12, "the body goes on below the canvas"


@pytest.mark.parametrize(
    ("background", "name", "message"),
    [
        ("none", "out.mp4", "MP4 has no transparency: give OUT.webm or a folder"),
        ("#12345", "out.mp4", "got #12345; give a colour as # and six hexadecimal digits"),
        ("blue", "out.mp4", "got blue, and there is no such file; give source, none, a colour"),
    ],
)
def test_what_cannot_be_behind_somebody(
    pipeline: SignGenPipeline, source: Source, tmp_path: Path, background: str, name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        render(signing(3), source, pipeline, tmp_path / name, background=background)
    assert not list(tmp_path.iterdir())


def test_a_model_without_a_composer_keeps_the_backdrop(source: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot tell a person from what is behind; leave it out"):
        render(signing(3), source, make_pipeline(), tmp_path / "out", background="none")


def test_matte_and_composer_are_saved_with_the_model(tmp_path: Path) -> None:
    made = make_pipeline(composed=True)
    made.save_pretrained(tmp_path / "model")
    again = SignGenPipeline.from_pretrained(tmp_path / "model", dtype="float32")
    backdrop, other = made.encode_backdrop(picture()), again.encode_backdrop(picture())
    assert np.array_equal(backdrop.matte, other.matte)
    frames, poses = np.stack([picture()] * 2), made.no_poses(2)
    points = signing(2).points
    for one, two in zip(
        made.compose(frames, poses, points, backdrop), again.compose(frames, poses, points, other), strict=True
    ):
        assert np.array_equal(one, two)
    assert made.weights_sha256() != make_pipeline().weights_sha256()


def test_the_manifest_names_a_picture_given_as_a_path(
    pipeline: SignGenPipeline, source: Source, tmp_path: Path
) -> None:
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(tmp_path / "studio.png")
    result = render(signing(1), source, pipeline, tmp_path / "out", background=tmp_path / "studio.png")
    manifest = json.loads(result.manifest.read_text())
    assert manifest["configuration"]["background"] == str(tmp_path / "studio.png")
