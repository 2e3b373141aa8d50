"""What the page takes in: sizes of files, lengths of clips, people waiting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from signgen.errors import InputError

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Upper limits of one request.

    Attributes:
        keypoint_bytes: of a keypoint file, or of all files of a clip together.
        picture_bytes: of a picture of a signer.
        video_bytes: of a video, and of any upload at all.
        files: of a clip that comes as one file per frame.
        frames: of a render or of a video that is scored.
        side: longest side of a video, pixels.
        waiting: jobs that may wait for the device.
        kept_seconds: how long uploads and results stay on the server's disk.
    """

    keypoint_bytes: int = 64 * MIB
    picture_bytes: int = 20 * MIB
    video_bytes: int = 200 * MIB
    files: int = 3000
    frames: int = 1500
    side: int = 1920
    waiting: int = 20
    kept_seconds: int = 3600

    def check_bytes(self, name: str, size: int, most: int) -> None:
        """`InputError` for a file of ``size`` bytes where ``most`` are allowed."""
        if size > most:
            got = f"is {size / MIB:.1f} MiB"
            raise InputError(name, got, f"up to {most / MIB:.0f} MiB are taken; cut the file or use the command line")

    def check_files(self, count: int) -> None:
        """`InputError` for a clip of too many files."""
        if count > self.files:
            raise InputError("upload", f"{count} files", f"up to {self.files} files make one clip; send fewer")

    def check_frames(self, name: str, frames: int) -> None:
        """`InputError` for too long a clip."""
        if frames > self.frames:
            got = f"{frames} frames are asked for"
            raise InputError(name, got, f"up to {self.frames} are made at a time; give a part of them as A:B")

    def check_size(self, name: str, size: tuple[int, int]) -> None:
        """`InputError` for too large a frame."""
        if max(size) > self.side:
            raise InputError(name, f"its frame is {size[0]}x{size[1]}", f"sides of up to {self.side} pixels are taken")

    def check_video(self, path: Path, name: str) -> None:
        """`InputError` for a video that is no video, too long or too large; decodes one frame."""
        from signgen.video import probe

        info = probe(path)
        self.check_size(name, info.size)
        if info.frames > self.frames:
            raise InputError(name, f"has {info.frames} frames", f"up to {self.frames} are taken; cut it")
