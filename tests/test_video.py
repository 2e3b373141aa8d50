"""Video in and out. Frames carry their number in black and white bars, so that every frame read can be named."""

from __future__ import annotations

import os
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from signgen.errors import InputError, NotFound, NotWritable, RunError, Unsupported
from signgen.files import Staging
from signgen.video import (
    VideoWriter,
    check_writable,
    exact_rate,
    probe,
    read_frame,
    read_frames,
    read_frames_at,
    read_image,
    reading,
)
from signgen.video.images import frame_files, natural_key

COUNT = 90
OPEN_GOP = "open-gop=1:scenecut=0:bframes=3:keyint=12:min-keyint=12"


def numbered(i: int, width: int = 96, height: int = 64) -> np.ndarray:
    """(H, W, 3): bar b is bright if bit b of ``i`` is set."""
    frame = np.full((height, width, 3), 40, np.uint8)
    for bit in range(8):
        if i >> bit & 1:
            frame[8:-8, 4 + 10 * bit : 12 + 10 * bit] = 220
    return frame


def number(frame: np.ndarray) -> int:
    return sum(1 << bit for bit in range(8) if frame[32, 8 + 10 * bit].mean() > 130)


def ffmpeg(*arguments: str, data: bytes | None = None) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments], input=data, check=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same numbered frames in files that readers get wrong."""
    folder = tmp_path_factory.mktemp("videos")
    raw = b"".join(numbered(i).tobytes() for i in range(COUNT))
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "96x64", "-r", "25", "-i", "-")
    closed = str(folder / "closed.mp4")
    ffmpeg(*source, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "30", closed, data=raw)
    ffmpeg(*source, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", OPEN_GOP, f"{folder}/open.mp4", data=raw)
    ffmpeg(*source, "-c:v", "libx264", "-g", "30", f"{folder}/stream.ts", data=raw)
    ffmpeg("-ss", "2", "-i", closed, "-c", "copy", f"{folder}/trimmed.mp4")
    uneven = ("-vf", "select='not(mod(n,3))+lt(n,30)'", "-fps_mode", "vfr")
    ffmpeg("-i", closed, *uneven, f"{folder}/uneven.mp4")
    ffmpeg("-display_rotation", "90", "-i", closed, "-c", "copy", f"{folder}/turned.mp4")
    return folder


WANTED = {
    "closed.mp4": list(range(COUNT)),
    "open.mp4": list(range(COUNT)),
    "stream.ts": list(range(COUNT)),
    "trimmed.mp4": list(range(50, COUNT)),
    "uneven.mp4": [*range(30), *range(30, COUNT, 3)],
}


@pytest.mark.parametrize("name", WANTED)
def test_every_frame_is_the_right_one(videos: Path, name: str) -> None:
    wanted = WANTED[name]
    assert [number(f) for f in read_frames(videos / name)] == wanted
    assert probe(videos / name).frames == len(wanted)
    for index in (0, 1, 11, 12, 13, 29, 31, len(wanted) - 1):
        assert number(read_frame(videos / name, index)) == wanted[index]
    assert [number(f) for f in read_frames(videos / name, 23, 39)] == wanted[23:39]
    assert list(read_frames(videos / name, len(wanted))) == []


def test_rotation_is_applied_as_ffmpeg_applies_it(videos: Path, tmp_path: Path) -> None:
    ffmpeg("-i", str(videos / "turned.mp4"), "-frames:v", "1", str(tmp_path / "upright.png"))
    upright, ours = read_image(tmp_path / "upright.png"), read_frame(videos / "turned.mp4", 0)
    assert probe(videos / "turned.mp4").size == (64, 96)
    assert np.abs(ours.astype(int) - upright).mean() < 2


@pytest.mark.parametrize("name", [*WANTED, "turned.mp4"])
def test_frames_in_any_order_are_those_read_one_by_one(videos: Path, name: str) -> None:
    indices = [29, 3, 13, 12, 0, 31]
    expected = [read_frame(videos / name, index) for index in indices]
    found = list(read_frames_at(videos / name, indices))
    assert [np.array_equal(a, b) for a, b in zip(found, expected, strict=True)] == [True] * len(indices)
    with pytest.raises(NotFound):
        list(read_frames_at(videos / name, [COUNT]))


@pytest.mark.parametrize(("name", "exact"), [("closed.mp4", True), ("open.mp4", False), ("trimmed.mp4", False),
                                             ("stream.ts", False)])  # fmt: skip
def test_decord_is_taken_where_its_frames_are_exact(videos: Path, name: str, exact: bool) -> None:
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    assert (reading._decord_reader(videos / name) is not None) == exact


def test_bad_videos_are_named(tmp_path: Path, videos: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "cut.mp4").write_bytes((videos / "closed.mp4").read_bytes()[:2000])
    for name in ("empty.mp4", "text.mp4", "cut.mp4", "absent.mp4"):
        with pytest.raises(InputError, match=name):
            probe(tmp_path / name)
        with pytest.raises(InputError, match=name):
            list(read_frames(tmp_path / name))
    with pytest.raises(InputError, match="has no frame 90; it has 90 frames"):
        read_frame(videos / "closed.mp4", 90)


# --- images and folders -------------------------------------------------------------------------------------------


def save(path: Path, i: int) -> None:
    Image.fromarray(numbered(i)).save(path)


def test_folder_in_natural_order_without_strays(tmp_path: Path) -> None:
    for i in (1, 2, 10, 11):
        save(tmp_path / f"frame_{i}.png", i)
    save(tmp_path / "preview.png", 77)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "._frame_3.png").write_text("x")
    assert [number(f) for f in read_frames(tmp_path)] == [1, 2, 10, 11]
    assert (probe(tmp_path).frames, probe(tmp_path).fps) == (4, None)
    assert number(read_frame(tmp_path, 2)) == 10


def test_a_superscript_in_a_name_is_no_number(tmp_path: Path) -> None:
    for i in (1, 2, 10):
        save(tmp_path / f"m\N{SUPERSCRIPT TWO}{i}.png", i)
    assert [number(f) for f in read_frames(tmp_path)] == [1, 2, 10]
    assert natural_key(Path("1\N{SUPERSCRIPT TWO}"))[1:] == [(1, 1), (0, "\N{SUPERSCRIPT TWO}")]


def test_phoenix_names_go_first(tmp_path: Path) -> None:
    for i in range(5):
        save(tmp_path / f"other{i}.png", 60 + i)
    for i in (1, 2):
        save(tmp_path / f"images{i:04d}.png", i)
    assert [number(f) for f in read_frames(tmp_path)] == [1, 2]


def test_folder_of_two_sizes_and_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        probe(tmp_path)
    save(tmp_path / "images0001.png", 1)
    Image.fromarray(numbered(2, 98)).save(tmp_path / "images0002.png")
    with pytest.raises(InputError, match="98x64"):
        list(read_frames(tmp_path))


def test_images_of_every_kind_become_rgb(tmp_path: Path) -> None:
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("grey.png", "deep.png"):
        assert np.array_equal(read_image(tmp_path / name), np.repeat(grey[..., None], 3, -1))
    Image.fromarray(np.dstack([*[grey] * 3, np.zeros_like(grey)])).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == 255).all()


def test_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(numbered(3)).save(tmp_path / "photo.jpg", exif=exif)
    assert read_image(tmp_path / "photo.jpg").shape == (96, 64, 3)


@pytest.mark.parametrize("kind", ["absent", "text", "cut", "tiny", "animated", "huge"])
def test_bad_images_are_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.png"
    if kind == "text":
        path.write_text("no image")
    elif kind == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:500])
    elif kind == "tiny":
        Image.new("RGB", (1, 1)).save(path)
    elif kind == "animated":
        frames = [Image.fromarray(numbered(i)) for i in (1, 2)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif kind == "huge":
        monkeypatch.setattr("signgen.video.images.MOST_PIXELS", 1000)
        save(path, 1)
    with pytest.raises(InputError, match="image.png"):
        read_image(path)


# --- writing ------------------------------------------------------------------------------------------------------


def write(path: Path | str, size: tuple[int, int] = (210, 260), fps: float = 25, count: int = 3, **words: str) -> None:
    with VideoWriter(path, size, fps, words) as writer:
        for i in range(count):
            writer.write(numbered(i, *size))


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize(("fps", "rate"), [(25, 25), (29.97, Fraction(30000, 1001)), (12.5, Fraction(25, 2))])
def test_size_rate_and_count_are_exact(tmp_path: Path, suffix: str, fps: float, rate: Fraction) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, fps=fps, count=7)
    assert probe(path).size == (210, 260)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == rate
        assert not container.streams.audio
    assert [number(f) for f in read_frames(path)] == list(range(7))


def test_exact_rate() -> None:
    assert exact_rate(23.976) == Fraction(24000, 1001)
    assert exact_rate(59.94) == Fraction(60000, 1001)
    assert exact_rate(30.0) == 30
    for bad in (0, -1, float("nan"), 2000):
        with pytest.raises(InputError):
            exact_rate(bad)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a"])
def test_odd_sizes_stay(tmp_path: Path, name: str) -> None:
    with VideoWriter(tmp_path / name, (97, 65), 25) as writer:
        writer.write(numbered(5, 97, 65))
    assert probe(tmp_path / name).size == (97, 65)
    assert bool(writer.warnings) == (name == "a.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_colours_survive(tmp_path: Path, suffix: str) -> None:
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (205, 150, 120), (0, 0, 0), (255, 255, 255), (32, 33, 40)):
        frame = np.full((64, 64, 3), colour, np.uint8)
        with VideoWriter(tmp_path / f"a{suffix}", (64, 64), 25) as writer:
            writer.write(frame)
        assert np.abs(read_frame(tmp_path / f"a{suffix}", 0).astype(int) - frame).max() <= 3, colour
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        assert container.streams.video[0].codec_context.color_range == 1  # limited
        assert container.streams.video[0].codec_context.colorspace == 1  # BT.709


def test_words_are_in_the_container_and_bytes_repeat(tmp_path: Path) -> None:
    words = {"title": "Generated; sign-language = vidéo", "comment": "This is generated video"}
    for suffix in (".mp4", ".webm"):
        write(tmp_path / f"a{suffix}", **words)
        write(tmp_path / f"b{suffix}", **words)
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
        with av.open(str(tmp_path / f"a{suffix}")) as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
        assert words.items() <= found.items()


def test_png_folder_is_exact(tmp_path: Path) -> None:
    write(tmp_path / "out", comment="This is generated video")
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [f"images{i:04d}.png" for i in (1, 2, 3)]
    assert np.array_equal(read_frame(tmp_path / "out", 2), numbered(2, 210, 260))
    assert Image.open(tmp_path / "out" / "images0001.png").text["Comment"] == "This is generated video"
    write(f"{tmp_path}/out/", count=2)  # frames of an earlier run make room
    assert probe(tmp_path / "out").frames == 2
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        VideoWriter(tmp_path / "out", (210, 260), 25)
    assert probe(tmp_path / "out").frames == 2


def fail_after_a_frame(path: Path, error: BaseException) -> None:
    with VideoWriter(path, (96, 64), 25) as writer:
        writer.write(numbered(1))
        raise error


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_nothing_stays_after_an_error(tmp_path: Path, name: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        fail_after_a_frame(tmp_path / name, error())
    assert list(tmp_path.iterdir()) == []


def test_older_output_survives_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", (96, 64))
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(ZeroDivisionError):
        fail_after_a_frame(tmp_path / "a.mp4", ZeroDivisionError())
    assert [f.name for f in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == before


def test_nothing_is_there_before_the_end(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", (96, 64), 25) as writer:
        writer.write(numbered(1))
        assert not (tmp_path / "a.mp4").exists()
    assert (tmp_path / "a.mp4").exists()


def test_wrong_frames_and_no_frames(tmp_path: Path) -> None:
    for bad in (numbered(1, 98), numbered(1).astype(np.float32), numbered(1)[..., 0]):
        with (
            pytest.raises(ValueError, match="a frame must be uint8"),
            VideoWriter(tmp_path / "a.mp4", (96, 64), 25) as w,
        ):
            w.write(bad)
    with pytest.raises(RunError, match="no frame was written"), VideoWriter(tmp_path / "a.mp4", (96, 64), 25):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [("no/such/a.mp4", NotFound), ("file/a.mp4", NotFound), ("a.avi", Unsupported), ("a.json", Unsupported),
     ("folder.mp4", NotWritable), ("file", NotWritable), ("pipe.mp4", NotWritable), ("pipe", NotWritable)],
)  # fmt: skip
def test_outputs_that_cannot_be_are_refused_first(tmp_path: Path, name: str, kind: type[InputError]) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(kind) as error:
        VideoWriter(tmp_path / name, (96, 64), 25)
    assert error.value.subject == str(tmp_path / name)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for name in ("a.mp4", "frames"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
        for _ in range(2):
            write(tmp_path / name, (96, 64), count=2)
            assert (tmp_path / name).is_symlink()
            assert probe(tmp_path / "disk" / name).frames == 2


def test_outputs_of_one_staging_appear_together(tmp_path: Path) -> None:
    with Staging() as staging:
        for name in ("a.mp4", "frames"):
            with VideoWriter(tmp_path / name, (96, 64), 25, staging=staging) as writer:
                writer.write(numbered(1))
            assert not (tmp_path / name).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "frames"]


def test_write_protected_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(NotWritable):
        check_writable(tmp_path / "a.mp4")


def test_encoder_failure_has_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho first line >&2\necho No space left on device >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: str(program))
    with pytest.raises(RunError, match="No space left on device"):
        write(tmp_path / "a.mp4", (960, 640), count=20)
    assert [f.name for f in tmp_path.iterdir()] == ["ffmpeg"]


@pytest.mark.parametrize(
    ("names", "frames"),
    [
        (["avi_fn000010-0.png", "avi_fn000009-0.png", "thumb.png"], ["avi_fn000009-0.png", "avi_fn000010-0.png"]),
        (["c1_f1.jpg", "c1_f2.jpg", "c2_f1.jpg"], ["c1_f1.jpg", "c1_f2.jpg"]),
    ],
)
def test_the_number_that_changes_counts_the_frames(tmp_path, names, frames):
    for name in names:
        (tmp_path / name).touch()
    assert [file.name for file in frame_files(tmp_path)] == frames
