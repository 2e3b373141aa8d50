"""The header file beside a keypoint file: frame size and rate, which MMPose's JSON and most others do not hold.

``clip.json`` has it as ``clip.json.header``. Its suffix is not ``.json``, so that no reader of a folder of JSON files
takes it for a clip or a frame. It is a JSON object: ``{"signgen_header": 1, "frames", "width", "height", "fps", ...}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from signgen.errors import Damaged, InputError, TooLarge, Unsupported, damage
from signgen.files import Staging, check_target, place_file, write_pieces, writing
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.raw import RawClip

MARK, VERSION = "signgen_header", 1
_LARGEST = 16 << 20  # bytes; a header with a number for each of a million frames is smaller
_ADVICE = "remove it, and give --frame-size and --fps"


def header_path(keypoints: str | Path) -> Path:
    """Where the header of a keypoint file is."""
    path = Path(keypoints)
    return path.with_name(f"{path.name}.header")


def header_bytes(keypoints: Keypoints, more: dict[str, Any]) -> bytes:
    """The content of a header: length, size and rate of the clip, then ``more``."""
    known = {MARK: VERSION, "frames": len(keypoints), "width": keypoints.width, "height": keypoints.height}
    text = json.dumps({**known, "fps": keypoints.fps, **more}, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")  # names that are no Unicode become escapes, which are JSON's own


def complete_from_header(clip: RawClip, path: Path) -> RawClip:
    """Adds size and rate that the file at ``path`` leaves open, from a header of a clip of this length.

    Raises:
        InputError: the header is damaged.
    """
    place = header_path(path)
    if None not in (clip.size, clip.fps) or path.is_dir() or not place.is_file():
        return clip
    header = _read(place)
    if header["frames"] != len(clip):
        clip.warnings.append(f"{place.name} is of {header['frames']} frames, this file has {len(clip)}; not used")
        return clip
    clip.size = clip.size or (header["width"], header["height"])
    clip.fps = clip.fps or header["fps"]
    return clip


def place_with_header(target: Path, content: Iterable[bytes], header: bytes | None) -> None:
    """Writes a keypoint file and the header beside it, both or neither.

    Without a new header one that an earlier file has left there is removed: it would be read with this file. What
    has its name and is no header stays.

    Raises:
        NotFound, NotWritable, RunError: as `files.place_file`.
    """
    if header is None:
        place_file(target, content)
        with suppress(InputError, OSError):
            _read(header_path(target))
            header_path(target).unlink()
        return
    check_target(target, "file")
    check_target(header_path(target), "file")
    with writing(target, "check free space and permissions"), Staging() as staging:
        write_pieces(staging.place(target), content)
        staging.place(header_path(target)).write_bytes(header)


def _read(place: Path) -> dict[str, Any]:
    if place.stat().st_size > _LARGEST:
        raise TooLarge(place, "more than 16 MiB, too much for a header", _ADVICE)
    with damage(place, "a damaged header", _ADVICE, ValueError, RecursionError):
        header = json.loads(place.read_bytes())
    if not isinstance(header, dict) or header.get(MARK) != VERSION:
        raise Unsupported(place, "no header of a keypoint file that this signgen knows", _ADVICE)
    for key, kinds in (("frames", int), ("width", int), ("height", int), ("fps", (int, float))):
        value = header.get(key)
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < 1e9:
            raise Damaged(place, f"a header with {key} {str(value)[:40]}", _ADVICE)
    return header
