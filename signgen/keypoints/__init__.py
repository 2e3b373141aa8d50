"""Keypoints: the COCO-WholeBody skeleton, `Keypoints` over time, and every file format."""

from signgen.keypoints.formats import READ_FORMATS, WRITE_FORMATS, ReadResult, read_keypoints, write_keypoints
from signgen.keypoints.sequence import Keypoints

__all__ = ["READ_FORMATS", "WRITE_FORMATS", "Keypoints", "ReadResult", "read_keypoints", "write_keypoints"]
