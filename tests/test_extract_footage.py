"""Which frames are read, by whom, and when each is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from extract_maker import encode, number_of, numbered

from signgen.errors import InputError
from signgen.extraction.footage import Footage, open_footage, schedule
from signgen.video import probe


def numbers(footage: Footage, start: int = 0, stop: int | None = None) -> list[int]:
    return [number_of(image) for image in footage.read(start, stop)]


@pytest.mark.parametrize("options", [{}, {"x264-params": "open-gop=1:keyint=5:min-keyint=5:bframes=2"}])
def test_every_frame_is_read_in_order(tmp_path: Path, options: dict[str, str]) -> None:
    footage = open_footage(encode(tmp_path / "a.mp4", numbered(20), **options))
    assert (footage.reader, footage.frames, footage.rate) == ("pyav", 20, 25)
    assert numbers(footage) == list(range(20))
    assert numbers(footage, 7, 11) == [7, 8, 9, 10]


def test_av1_is_read(tmp_path: Path) -> None:
    footage = open_footage(encode(tmp_path / "a.mp4", numbered(6), codec="libsvtav1", preset="12"))
    assert numbers(footage) == list(range(6))


def test_hidden_frames_do_not_count(tmp_path: Path) -> None:
    """An edit list that begins at the fourth frame, as `ffmpeg -ss -c copy` leaves it."""
    path = encode(tmp_path / "a.mp4", numbered(8), bf="0")
    cut = tmp_path / "cut.mp4"
    import subprocess

    import imageio_ffmpeg

    tool = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-ss", "0.12", "-i", str(path), "-c", "copy", str(cut)]
    subprocess.run(tool, check=True, timeout=60)
    footage = open_footage(cut)
    assert numbers(footage) == [3, 4, 5, 6, 7]
    assert footage.times == pytest.approx(np.arange(5) / 25, abs=0.002)


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_a_recording_that_begins_between_two_keyframes_begins_at_the_second(tmp_path: Path, suffix: str) -> None:
    """As those of broadcasts do."""
    begun = encode(tmp_path / "a.mp4", numbered(24), **{"x264-params": "keyint=8:min-keyint=8:scenecut=0:bframes=2"})
    cut = tmp_path / f"cut.{suffix}"
    with av.open(str(begun)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and number >= 3:
                packet.stream = stream
                target.mux(packet)
    footage = open_footage(cut)
    assert numbers(footage) == list(range(8, 24))
    assert (footage.frames, probe(cut).frames) == (16, 16)
    assert [number_of(image) for image in footage.read_at([0, 7, 15])] == [8, 15, 23]
    assert numbers(footage, 5, 7) == [13, 14]


def test_a_constant_rate_takes_every_frame(tmp_path: Path) -> None:
    plan = schedule(open_footage(encode(tmp_path / "a.mp4", numbered(9))))
    assert (plan.numbers.tolist(), plan.fps, plan.warnings) == (list(range(9)), 25, [])


@pytest.mark.parametrize(
    ("turned", "said"), [(0, "(1.067:1): people look narrower"), (90, "(0.9375:1): people look wider")]
)
def test_pixels_that_are_not_square_are_said(tmp_path: Path, turned: int, said: str) -> None:
    film = encode(tmp_path / "a.mp4", numbered(9), aspect=Fraction(16, 15))
    assert probe(film).pixel_aspect == pytest.approx(16 / 15)
    for fps in (None, 12.5):
        warning = schedule(open_footage(film, turned), fps).warnings[-1]
        assert said in warning
        assert "setsar=1" in warning


def test_a_varying_rate_takes_the_frame_that_is_shown_at_each_tick(tmp_path: Path) -> None:
    stamps = [0, 40, 80, 120, 320, 360, 400]  # the fourth frame stands for 200 ms
    footage = open_footage(encode(tmp_path / "a.mp4", numbered(7), stamps=stamps, bf="0"))
    assert footage.times == pytest.approx(np.array(stamps) / 1000, abs=0.002)
    plan = schedule(footage)
    assert plan.fps == 25
    assert plan.numbers.tolist()[:11] == [0, 1, 2, 3, 3, 3, 3, 3, 4, 5, 6]
    assert "varying rate" in plan.warnings[0]


def test_a_clip_that_no_command_would_read_is_refused_before_anything_is_looked_at() -> None:
    """Such as one whose clock jumps by years on the way."""
    times = np.array([0, 0.04, 0.08, 0.12, 1e9])
    with pytest.raises(InputError, match="1,000,000,000 seconds at 25 fps"):
        schedule(Footage(Path("a.mkv"), 64, 48, 5, times, 25.0))
    with pytest.raises(InputError, match="give a lower --fps"):
        schedule(Footage(Path("a.mp4"), 64, 48, 90_000, np.arange(90_000) / 25, 25.0), fps=1000)


@pytest.mark.parametrize(
    ("times", "fps", "expected"), [([0, 0, 0, 0, 0.04, 0.08], 25, [3, 4]), ([0, 0, 0, 0, 0, 0], 25, [5])]
)
def test_frames_of_one_moment_are_no_rate(times: list[float], fps: float, expected: list[int]) -> None:
    plan = schedule(Footage(Path("a.mkv"), 64, 48, 6, np.array(times), fps))
    assert (plan.fps, plan.numbers[: len(expected)].tolist()) == (fps, expected)


@pytest.mark.parametrize(("fps", "expected"), [(12.5, [0, 2, 4, 6]), (50, [0, 0, 1, 1, 2, 2, 3, 3])])
def test_another_rate_keeps_the_speed_of_signing(tmp_path: Path, fps: float, expected: list[int]) -> None:
    plan = schedule(open_footage(encode(tmp_path / "a.mp4", numbered(8))), fps)
    assert plan.fps == fps
    assert plan.numbers.tolist()[: len(expected)] == expected
    assert len(plan.numbers) == round(8 * fps / 25)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "empty").mkdir()
    for name in ("a.mp4", "empty", "absent"):
        with pytest.raises(InputError):
            open_footage(tmp_path / name)
