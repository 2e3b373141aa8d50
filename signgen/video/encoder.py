"""One FFmpeg process that turns raw frames on its standard input into a video file."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from signgen.errors import RunError

# A fixed number of threads: x264's and libvpx's bytes depend on it, and files should not depend on the machine.
_THREADS = "4"
_MP4 = ["-c:v", "libx264", "-preset", "medium", "-crf", "17", "-movflags", "+faststart"]
_WEBM = ["-c:v", "libvpx-vp9", "-b:v", "0", "-crf", "22", "-deadline", "good", "-cpu-used", "4", "-row-mt", "0"]
# RGB -> limited-range BT.709, tagged in the stream, so that every player turns it back the same way.
_COLOUR_FILTER = "scale=out_color_matrix=bt709:out_range=tv:flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
_COLOUR_TAGS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
_GRACE_SECONDS = 5


class Encoder:
    """Feeds FFmpeg. Where its ``with`` block ends well it waits for a whole file, else it stops at once.

    Args:
        temporary: file that FFmpeg writes; its suffix chooses format and codec.
        target: the name that errors speak of.
        size, rate, metadata, alpha: as in `VideoWriter`.
    """

    def __init__(
        self,
        temporary: Path,
        target: Path,
        size: tuple[int, int],
        rate: Fraction,
        metadata: dict[str, str],
        alpha: bool = False,
    ) -> None:
        import imageio_ffmpeg

        self.target = target
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as FFmpeg; a pipe could fill up
        command = [imageio_ffmpeg.get_ffmpeg_exe(), *ffmpeg_arguments(temporary, size, rate, metadata, alpha)]
        try:
            # A session of its own: Ctrl-C reaches this program first, which then removes what is unfinished.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._messages, start_new_session=True
            )
        except OSError as error:
            self._messages.close()
            raise RunError("ffmpeg", f"does not start ({error})", "reinstall imageio-ffmpeg") from None
        assert self._process.stdin is not None, "asked for as a pipe"
        self._input = self._process.stdin

    def write(self, frame: np.ndarray) -> None:
        """One contiguous frame."""
        try:
            self._input.write(frame.data)
        except (BrokenPipeError, OSError):
            raise self._failure() from None

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._close()
        else:
            self._abandon()

    def _close(self) -> None:
        """Ends the stream and waits; `RunError` if the file is not whole."""
        with suppress(OSError):  # if FFmpeg is gone, its exit code says so below
            self._input.close()
        if self._process.wait() != 0:
            raise self._failure()
        self._messages.close()

    def _abandon(self) -> None:
        """Stops FFmpeg; the file is of no use."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._input.close()
        self._messages.close()

    def _failure(self) -> RunError:
        """The error with FFmpeg's last message."""
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        lines: list[str] = []
        if not self._messages.closed:
            self._messages.seek(0)
            lines = self._messages.read().decode("utf-8", "replace").strip().splitlines()
        last = lines[-1].strip() if lines else f"exit code {self._process.poll()}"
        return RunError(self.target, f"the encoder failed: {last}", "check the free space and the frame size")


def ffmpeg_arguments(
    path: Path, size: tuple[int, int], rate: Fraction, metadata: dict[str, str], alpha: bool = False
) -> list[str]:
    """FFmpeg's command line without the program."""
    width, height = size
    webm = path.suffix.lower() == ".webm"
    # VP9 pads odd sides itself; H.264 with halved chroma cannot hold them.
    full_chroma = not webm and bool(width % 2 or height % 2)
    given = "rgba" if alpha else "rgb24"
    source = ["-f", "rawvideo", "-pix_fmt", given, "-video_size", f"{width}x{height}", "-framerate", str(rate)]
    described = [part for key, value in metadata.items() for part in ("-metadata", f"{key}={value}")]
    return [
        *("-hide_banner", "-loglevel", "error", "-nostdin", "-y"),
        *(*source, "-i", "pipe:0", "-an", "-map_metadata", "-1", *described),
        *("-vf", _COLOUR_FILTER, "-pix_fmt", "yuv444p" if full_chroma else "yuva420p" if alpha else "yuv420p"),
        *(*(_WEBM if webm else _MP4), *(("-auto-alt-ref", "0") if alpha else ()), "-threads", _THREADS, *_COLOUR_TAGS),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", str(path)),
    ]
