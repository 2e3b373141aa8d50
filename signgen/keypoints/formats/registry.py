"""Every keypoint format, in the order in which a file's content is compared with them: the first that fits is taken."""

from __future__ import annotations

from importlib import import_module

from signgen.keypoints.formats.record import Format

# The files beside and below this one, each with a record FORMAT. A new format is one more file, and one more line here.
_FILES = (
    "mmpose", "mmpose_topdown", "alphapose", "mmpose0", "openpose", "comfyui", "rtmlib", "coco", "mediapipe", "pose",
    "pickles.unisign", "dwpose", "pickles.mska", "npz", "pickles.slrt", "pickles.nla_slr", "npy", "skels", "fpdm",
)  # fmt: skip
_RECORDS: list[Format] = [import_module(f"signgen.keypoints.formats.{file}").FORMAT for file in _FILES]
FORMATS = {record.name: record for record in _RECORDS}
