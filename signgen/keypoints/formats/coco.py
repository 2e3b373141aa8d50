"""COCO-WholeBody annotation files: one image is one frame."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from signgen.keypoints.formats.mmpose import listed
from signgen.keypoints.raw import Person, RawClip, Request, follow_signer, pick_clip

_KEYS = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}


def is_coco(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("annotations"), list) and "images" in value


def read_coco(value: Any, request: Request) -> RawClip:
    """Images in the natural order of their file names; `--clip FILE_NAME` takes one of them.

    Images of several sizes are not a clip. Where the first of several clips will do, the first image with a person is
    taken; otherwise they are read so that they can be looked at: with a warning, in a frame as large as the largest.
    """
    images = sorted(value["images"], key=lambda image: natural(_name(image)))
    people: dict[Any, list[Person]] = {image["id"]: [] for image in images}
    annotations = [one for one in value["annotations"] if one.get("image_id") in people]
    scored = all(isinstance(one.get("score"), (int, float)) for one in annotations)  # else the largest person is taken
    for annotation in annotations:
        people[annotation["image_id"]].append(_person(annotation, scored, request))
    if request.clip is not None or (request.first and len(_sizes(images)) > 1):
        with_people = [image for image in images if people[image["id"]]] or images
        names = [_name(image) for image in (images if request.clip is not None else with_people)]
        chosen = pick_clip(names, request)
        images = [next(image for image in images if _name(image) == chosen)]
    followed = None if scored else "the largest"
    clip = follow_signer([people[image["id"]] for image in images], request.path.stem, request, followed)
    sizes = _sizes(images)
    if sizes:
        width, height = (max(sides) for sides in zip(*sizes, strict=True))
        clip.size = width, height
        if len(sizes) > 1:
            found = f"{len(images)} images of {len(sizes)} sizes; the frame is {width}x{height}"
            clip.warnings.append(f"{found} (--clip FILE_NAME takes one image)")
    return clip


def _name(image: dict) -> str:
    return str(image.get("file_name", image["id"]))


def _sizes(images: list[dict]) -> Counter[tuple[int, int]]:
    """How many images have which width and height."""
    return Counter((int(image["width"]), int(image["height"])) for image in images if image.get("width"))


def _person(annotation: dict, scored: bool, request: Request) -> Person:
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
    rank = annotation["score"] if scored else float(box[2]) * float(box[3])
    return Person(xyv[:, :2], np.minimum(xyv[:, 2], 1), float(rank))


def to_coco(xy: np.ndarray, confidence: np.ndarray, size: tuple[int, int]) -> dict[str, Any]:
    """Images of one size, and a person for each frame that shows one; the third number of a point is its confidence."""
    points = np.concatenate([xy, confidence[..., None]], axis=-1)  # (T,133,3)
    images, annotations = [], []
    for t in range(len(xy)):
        images.append({"id": t, "file_name": f"{t + 1:06d}.png", "width": size[0], "height": size[1]})
        seen = confidence[t] > 0
        if not seen.any():
            continue
        low, high = xy[t, seen].min(0), xy[t, seen].max(0)
        person = {"id": t, "image_id": t, "category_id": 1, "iscrowd": 0, "num_keypoints": int(seen[:17].sum()),
                  "bbox": listed(np.concatenate([low, high - low]))}  # fmt: skip
        start = 0
        for key, count in _KEYS.items():
            part = points[t, start : start + count]
            person[key] = listed(part.ravel())
            if key != "keypoints":
                person[key.replace("_kpts", "_valid")] = bool(part[:, 2].any())
            start += count
        annotations.append(person)
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which image2 comes before image10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)]
