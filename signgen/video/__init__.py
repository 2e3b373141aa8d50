"""Video and image files in and out: frames are (H, W, 3) uint8 RGB arrays everywhere."""

from __future__ import annotations

from signgen.video.images import frame_files, read_image
from signgen.video.reading import VideoInfo, probe, read_frame, read_frames, read_frames_at
from signgen.video.writing import VideoWriter, check_writable, exact_rate

__all__ = [
    "VideoInfo",
    "VideoWriter",
    "check_writable",
    "exact_rate",
    "frame_files",
    "probe",
    "read_frame",
    "read_frames",
    "read_frames_at",
    "read_image",
]
