"""COCO-WholeBody annotation files: one image is one frame."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from signgen.keypoints._raw import Person, RawClip, Request, follow_signer, pick_clip

_KEYS = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}


def is_coco(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("annotations"), list) and "images" in value


def read_coco(value: Any, request: Request) -> RawClip:
    """Images in the natural order of their file names; `--clip FILE_NAME` takes one of them.

    Images of several sizes are not a clip, but are read so that they can be looked at: with a warning, in a frame
    as large as the largest.
    """
    images = sorted(value["images"], key=lambda image: natural(str(image.get("file_name", image["id"]))))
    if request.clip is not None:
        names = [str(image.get("file_name", image["id"])) for image in images]
        images = [images[names.index(pick_clip(names, request))]]
    people: dict[Any, list[Person]] = {image["id"]: [] for image in images}
    for annotation in value["annotations"]:
        if annotation.get("image_id") in people:
            people[annotation["image_id"]].append(_person(annotation, request))
    clip = follow_signer([people[image["id"]] for image in images], request.path.stem, request)
    sizes = Counter((int(image["width"]), int(image["height"])) for image in images if image.get("width"))
    if sizes:
        width, height = (max(sides) for sides in zip(*sizes, strict=True))
        clip.size = width, height
        if len(sizes) > 1:
            found = f"{len(images)} images of {len(sizes)} sizes; the frame is {width}x{height}"
            clip.warnings.append(f"{found} (--clip FILE_NAME takes one image)")
    return clip


def _person(annotation: dict, request: Request) -> Person:
    if "foot_kpts" not in annotation and "face_kpts" not in annotation:
        advice = "signgen needs COCO-WholeBody annotations (foot_kpts, face_kpts, lefthand_kpts, righthand_kpts)"
        raise request.error("COCO body keypoints only", advice)
    parts = []
    for key, count in _KEYS.items():
        flat = np.asarray(annotation.get(key) or [0.0] * 3 * count, dtype=np.float64)
        if flat.shape != (3 * count,):
            raise request.error(f"{flat.size} numbers in {key}", f"COCO-WholeBody has {3 * count} there")
        parts.append(flat.reshape(count, 3))
    xyv = np.concatenate(parts)
    box = annotation.get("bbox") or [0, 0, 0, 0]
    rank = annotation.get("score", float(box[2]) * float(box[3]))  # annotations have no score: the largest person
    return Person(xyv[:, :2], np.minimum(xyv[:, 2], 1), float(rank))


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which image2 comes before image10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)]
