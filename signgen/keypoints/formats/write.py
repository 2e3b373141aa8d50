"""Keypoints as the content of a file, or of a folder of one file a frame, in every format that signgen reads."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.keypoints.formats import mmpose, openpose, pose, skels
from signgen.keypoints.formats.coco import to_coco

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

Content = bytes | dict[str, bytes]  # a file, or the files of a folder by their names


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, protocol=4)


def _xyc(keypoints: Keypoints) -> np.ndarray:
    """float32 (T,133,3)."""
    return np.concatenate([keypoints.xy, keypoints.confidence[..., None]], axis=-1)


def _people(keypoints: Keypoints) -> np.ndarray:
    """(T,) how many people a frame shows: 0 or 1."""
    return keypoints.confidence.any(1).astype(int)


def _fractions(keypoints: Keypoints) -> np.ndarray:
    """float64 (T,133,2) of the frame's sides; missing points stay 0."""
    return keypoints.xy.astype(np.float64) / keypoints.size


# --- JSON -----------------------------------------------------------------------------------------------------
def _inferencer(keypoints: Keypoints) -> bytes:
    return _json(mmpose.to_inferencer(keypoints.xy, keypoints.confidence))


def _topdown(keypoints: Keypoints) -> bytes:
    frames = mmpose.to_inferencer(keypoints.xy, keypoints.confidence)
    counted = [{**frame, "frame_id": frame["frame_id"] + 1} for frame in frames]  # this demo counts from 1
    return _json({"meta_info": {"dataset_name": "coco_wholebody", "num_keypoints": 133}, "instance_info": counted})


def _mmpose0(keypoints: Keypoints) -> bytes:
    return _json(mmpose.to_mmpose0(keypoints.xy, keypoints.confidence))


def _rtmlib(keypoints: Keypoints) -> bytes:
    return _json(mmpose.to_rtmlib(keypoints.xy, keypoints.confidence))


def _coco_wholebody(keypoints: Keypoints) -> bytes:
    return _json(to_coco(keypoints.xy, keypoints.confidence, keypoints.size))


def _openpose_folder(keypoints: Keypoints) -> dict[str, bytes]:
    stem = keypoints.name.rsplit("/", 1)[-1] or "clip"
    frames = openpose.to_openpose(keypoints.xy, keypoints.confidence)
    return {f"{stem}_{t:012d}_keypoints.json": _json(frame) for t, frame in enumerate(frames)}


# --- arrays and pickles ---------------------------------------------------------------------------------------
def _npz(keypoints: Keypoints) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, keypoints=_xyc(keypoints), width=keypoints.width, height=keypoints.height, fps=keypoints.fps,
        name=keypoints.name,
    )  # fmt: skip
    return buffer.getvalue()


def _npy(keypoints: Keypoints) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, _xyc(keypoints), allow_pickle=False)
    return buffer.getvalue()


def _unisign(keypoints: Keypoints) -> bytes:
    xy, people = _fractions(keypoints)[:, None], _people(keypoints)
    points = [xy[t, :count] for t, count in enumerate(people)]
    scores = [keypoints.confidence[t][None][:count] for t, count in enumerate(people)]
    return _pickled({"keypoints": points, "scores": scores})


def _dwpose(keypoints: Keypoints) -> bytes:
    return _pickled(openpose.to_dwpose(_fractions(keypoints), keypoints.confidence.astype(np.float64)))


def _mska(keypoints: Keypoints) -> bytes:
    """One clip with empty gloss and text: its own files hold those beside the points."""
    import torch

    entry = {"name": keypoints.name, "gloss": "", "text": "", "num_frames": len(keypoints),
             "keypoint": torch.from_numpy(_xyc(keypoints))}  # fmt: skip
    return _pickled({keypoints.name: entry})


def _slrt(keypoints: Keypoints) -> bytes:
    return _pickled({keypoints.name: {"keypoints": _xyc(keypoints)}})


def _nla_slr(keypoints: Keypoints) -> bytes:
    return _pickled({keypoints.name: _xyc(keypoints)})


# --- text -----------------------------------------------------------------------------------------------------
def _fpdm_folder(keypoints: Keypoints) -> dict[str, bytes]:
    """One file a frame, 133 rows of `x y`; `0 0` is a missing point."""
    rows = [" ".join(map(str, point)) + "\n" for point in keypoints.xy.reshape(-1, 2)]
    return {f"{t + 1:06d}.txt": "".join(rows[133 * t : 133 * t + 133]).encode() for t in range(len(keypoints))}


WRITERS: dict[str, Callable[[Keypoints], Content]] = {
    "mmpose": _inferencer, "mmpose-topdown": _topdown, "mmpose-0.x": _mmpose0, "openpose": _openpose_folder,
    "rtmlib": _rtmlib, "coco-wholebody": _coco_wholebody, "pose": pose.to_pose_bytes, "uni-sign": _unisign,
    "dwpose": _dwpose, "mska": _mska, "npz": _npz, "slrt": _slrt, "nla-slr": _nla_slr, "npy": _npy,
    "skels": skels.to_skels, "fpdm": _fpdm_folder,
}  # fmt: skip
FOLDERS = {"openpose": r".*_?\d+_keypoints\.json", "fpdm": r".*\.txt"}  # formats of one file a frame: its name
BY_SUFFIX = {".json": "mmpose", ".pose": "pose", ".npz": "npz", ".npy": "npy", ".skels": "skels"}
