"""Good files of every format, small ones, to be spoiled."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from keypoint_maker import points, signer

from signgen.keypoints import WRITE_FORMATS, write_keypoints

FRAMES = 3
XYC = np.concatenate([points(FRAMES), np.full((FRAMES, 133, 1), 0.9)], axis=-1).astype(np.float32)


def good_files(folder: Path) -> dict[str, bytes]:
    """Name -> content; of formats that are folders one frame, and ``<name>/`` before the files of whole folders."""
    files: dict[str, bytes] = {}
    for name in WRITE_FORMATS:
        write_keypoints(signer(FRAMES), folder / name, name)
        if (folder / name).is_dir():
            files |= {f"{name}/{item.name}": item.read_bytes() for item in sorted((folder / name).iterdir())}
            files[f"{name}-frame"] = next(item.read_bytes() for item in (folder / name).iterdir())
        else:
            files[name] = (folder / name).read_bytes()
    files |= {f"pickle-{protocol}": pickle.dumps(_clips(), protocol) for protocol in range(6)}
    files["gzip"] = gzip.compress(pickle.dumps(_clips()), mtime=0)
    files |= {f"array-{name}": _saved(value) for name, value in _arrays().items()}
    files["crowd-json"] = json.dumps(_crowd()).encode()
    header = {"signgen_header": 1, "frames": FRAMES, "width": 210, "height": 260, "fps": 25}
    files["header"] = json.dumps(header).encode()
    files["old-pose"] = _old_pose(files["pose"], 0.1, struct.pack("<HHH", 25, FRAMES, 1), skip=10)
    return files | _torch_files() | _wrapped(files)


def _clips() -> dict[str, Any]:
    return {"train/a": {"keypoints": XYC, "name": "a"}, "train/b": {"keypoint": XYC.tolist()}, "c": XYC}


def _arrays() -> dict[str, Any]:
    sized = np.concatenate([np.full((FRAMES, 1, 3), [[[210, 260, 0]]]), XYC], axis=1)
    return {"sized": sized, "people": XYC[:, None].repeat(2, 1), "one": XYC[0], "objects": np.array([_clips()], object)}


def _saved(value: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value)
    return stream.getvalue()


def _crowd() -> list[dict[str, Any]]:
    people = [(XYC[..., :2] + 40 * k).round(1) for k in range(3)]
    return [
        {"frame_id": t, "instances": [{"keypoints": xy[t].tolist(), "keypoint_scores": [0.5] * 133} for xy in people]}
        for t in range(FRAMES)
    ]


def _old_pose(data: bytes, version: float, start: bytes, skip: int) -> bytes:
    """A `.pose` file in an older version: the header's first number, and how the body begins, are others."""
    body = len(data) - FRAMES * 133 * 3 * 4
    return struct.pack("<f", version) + data[4 : body - skip] + start + data[body:]


def _wrapped(files: dict[str, bytes]) -> dict[str, bytes]:
    """Archives of frames, JSON lines, and MediaPipe's landmarks in JSON and tables."""
    frames = {name.rpartition("/")[2]: content for name, content in files.items() if name.startswith("openpose/")}
    landmarks = np.load(io.BytesIO(files["mediapipe"]))
    parts = {"pose": landmarks[:, :33], "left_hand": landmarks[:, 501:522], "right_hand": landmarks[:, 522:]}
    results = [{f"{name}_landmarks": part[t].tolist() for name, part in parts.items()} for t in range(FRAMES)]
    long = [f"{t},{name},{i},{x},{y}" for name, part in parts.items() for t in range(FRAMES)
            for i, (x, y) in enumerate(part[t, :, :2])]  # fmt: skip
    rows = [",".join(map(str, row)) for row in np.delete(landmarks, range(33, 501), 1)[..., :3].reshape(FRAMES, -1)]
    return {
        "zip": _packed(frames, tar=False),
        "tar": _packed(frames, tar=True),
        "lines": "\n".join(map(json.dumps, _crowd())).encode(),
        "landmarks-json": json.dumps(results).encode(),
        "landmarks-long": "\n".join(["frame,type,landmark_index,x,y", *long]).encode(),
        "landmarks-wide": "\n".join(rows).encode(),
        "alphapose-list": json.dumps(json.loads(files["alphapose"])["frames"]).encode(),
        "dwpose-array": _saved(np.array(pickle.loads(files["dwpose"]), object)),
        "batch": _saved(XYC[None]),
        "halpe": _saved(np.zeros((FRAMES, 136, 3)) + XYC[:, :1]),
        "parquet": b"PAR1" + files["npy"][:2000] + b"PAR1",
    }


def _packed(files: dict[str, bytes], tar: bool) -> bytes:
    stream = io.BytesIO()
    if tar:
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in files.items():
                item = tarfile.TarInfo(name)
                item.size = len(content)
                archive.addfile(item, io.BytesIO(content))
        return stream.getvalue()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _torch_files() -> dict[str, bytes]:
    """As `torch.save` writes them today, and a tensor in a pickle."""
    import torch

    stream = io.BytesIO()
    torch.save({"a": {"keypoint": torch.from_numpy(XYC)}}, stream)
    return {"torch": stream.getvalue(), "tensor": pickle.dumps({"a": {"keypoint": torch.from_numpy(XYC)}}, 4)}
