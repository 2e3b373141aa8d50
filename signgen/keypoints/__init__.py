"""Keypoints: the COCO-WholeBody skeleton, `Keypoints` over time, and every file format."""

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.keypoint_files import READ_FORMATS, WRITE_FORMATS, read_keypoints, write_keypoints
from signgen.keypoints.units import ReadResult

__all__ = ["READ_FORMATS", "WRITE_FORMATS", "Keypoints", "ReadResult", "read_keypoints", "write_keypoints"]
