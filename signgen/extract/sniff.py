"""Telling footage from keypoint files by what is in them."""

from __future__ import annotations

from pathlib import Path

from signgen.keypoints._video_head import HEAD, is_video


def is_footage(path: str | Path) -> bool:
    """Whether this is a video file, or a folder of images without keypoint files."""
    place = Path(path)
    if place.is_dir():
        return _is_folder_of_images(place)
    if not place.is_file():
        return False
    with place.open("rb") as stream:
        return is_video(stream.read(HEAD))


def _is_folder_of_images(folder: Path) -> bool:
    from signgen.errors import InputError
    from signgen.video import frame_files

    if any(item.suffix in (".json", ".txt") for item in folder.iterdir()):
        return False
    try:
        return bool(frame_files(folder))
    except InputError:
        return False
