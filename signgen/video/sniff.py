"""Telling footage from keypoint files by what is in them."""

from __future__ import annotations

from pathlib import Path

from signgen.errors import InputError
from signgen.video.images import frame_files

HEAD = 189  # bytes that are enough
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # first box of MP4 and QuickTime files
_STARTS = (
    b"\x1aE\xdf\xa3",
    b"RIFF",
    b"GIF8",
    b"OggS",
    b"FLV\x01",
    b"\x00\x00\x01\xba",
    b"\x00\x00\x01\xb3",
    b"0&\xb2u",
)


def is_video(head: bytes) -> bool:
    """Whether a file that begins like this is a video; MPEG-TS needs `HEAD` bytes, others twelve."""
    is_transport = head[:1] == b"G" and head[188:189] == b"G"  # packets of 188 bytes begin with 0x47
    return head[4:8] in _BOXES or head.startswith(_STARTS) or is_transport


def is_footage(path: str | Path) -> bool:
    """Whether this is a video file, or a folder of images without keypoint files."""
    place = Path(path)
    if place.is_file():
        with place.open("rb") as stream:
            return is_video(stream.read(HEAD))
    if not place.is_dir() or any(item.suffix in (".json", ".txt") for item in place.iterdir()):
        return False
    try:
        return bool(frame_files(place))
    except InputError:
        return False
