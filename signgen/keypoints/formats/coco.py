"""COCO-WholeBody annotation files: one image is one frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from signgen.errors import Unsupported
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.record import Format, as_json_object, listed
from signgen.keypoints.frame_numbers import number_of, numbers_in_names
from signgen.keypoints.people import Person, follow_signer
from signgen.keypoints.raw import RawClip, Request, pick_clip
from signgen.keypoints.skeleton import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND
from signgen.video.images import natural_key

_PARTS = {"keypoints": BODY, "foot_kpts": FEET, "face_kpts": FACE, "lefthand_kpts": LEFT_HAND,
          "righthand_kpts": RIGHT_HAND}  # fmt: skip


def _recognises(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("annotations"), list) and "images" in value


def _read(value: Any, request: Request) -> RawClip:
    """Images in the natural order of their file names; `--clip FILE_NAME` takes one of them.

    Images of several sizes are not a clip. Where the first of several clips will do, the first image with a person is
    taken; otherwise they are read so that they can be looked at: with a warning, in a frame as large as the largest.
    """
    images = sorted(value["images"], key=lambda image: natural_key(_name(image)))
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
    frames = [people[image["id"]] for image in images]
    clip = follow_signer(frames, request.path.stem, request, followed, _numbers(images))
    sizes = _sizes(images)
    if sizes:
        width, height = (max(sides) for sides in zip(*sizes, strict=True))
        clip.size = width, height
        if len(sizes) > 1:
            found = f"{len(images)} images of {len(sizes)} sizes; the frame is {width}x{height}"
            clip.warnings.append(f"{found} (--clip FILE_NAME takes one image)")
    return clip


def _numbers(images: list[dict]) -> list[int | None] | None:
    """Of frames of a video: ``frame_id``, or numbers in file names where most follow each other."""
    said = [number_of(image.get("frame_id")) for image in images]
    if any(number is not None for number in said):
        return said
    named = numbers_in_names([_name(image) for image in images])
    return [*named] if named and np.median(np.diff(np.sort(named))) <= 1 else None


def _name(image: dict) -> str:
    return str(image.get("file_name", image["id"]))


def _sizes(images: list[dict]) -> set[tuple[int, int]]:
    return {(int(image["width"]), int(image["height"])) for image in images if image.get("width")}


def _person(annotation: dict, scored: bool, request: Request) -> Person:
    if "foot_kpts" not in annotation and "face_kpts" not in annotation:
        advice = "signgen needs COCO-WholeBody annotations (foot_kpts, face_kpts, lefthand_kpts, righthand_kpts)"
        raise request.error("COCO body keypoints only", advice, Unsupported)
    parts = []
    for key, part in _PARTS.items():
        count = part.stop - part.start
        given = annotation.get(key)
        absent = given is None or not len(given)
        flat = np.zeros(3 * count) if absent else request.budget.numbers(given)
        if flat.shape != (3 * count,):
            raise request.error(f"{flat.size} numbers in {key}", f"COCO-WholeBody has {3 * count} there")
        parts.append(flat.reshape(count, 3))
    xyv = np.concatenate(parts)
    box = annotation.get("bbox") or [0, 0, 0, 0]
    rank = annotation["score"] if scored else float(box[2]) * float(box[3])
    return Person(xyv[:, :2], np.minimum(xyv[:, 2], 1), float(rank))


def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """Images of one size, and a person for each frame that shows one; the third number of a point is its confidence."""
    width, height = keypoints.size
    images = (
        {"id": t, "file_name": f"{t + 1:06d}.png", "width": width, "height": height} for t in range(len(keypoints))
    )
    categories = [{"id": 1, "name": "person"}]
    return as_json_object(images=images, annotations=_annotations(keypoints), categories=categories)


def _annotations(keypoints: Keypoints) -> Iterator[dict[str, Any]]:
    for t, points in enumerate(frame for part in keypoints.blocks() for frame in part.points):
        seen = points[:, 2] > 0
        if not seen.any():
            continue
        low, high = points[seen, :2].min(0), points[seen, :2].max(0)
        person = {"id": t, "image_id": t, "category_id": 1, "iscrowd": 0, "num_keypoints": int(seen[BODY].sum()),
                  "bbox": listed(np.concatenate([low, high - low]))}  # fmt: skip
        for key, part in _PARTS.items():
            person[key] = listed(points[part].ravel())
            if part is not BODY:
                person[key.replace("_kpts", "_valid")] = bool(seen[part].any())
        yield person


FORMAT = Format(
    name="coco-wholebody",
    label="COCO-WholeBody JSON",
    origin="COCO-WholeBody annotations",
    content="`images` and `annotations`",
    kinds=("json",),
    recognises=_recognises,
    read=_read,
    write=_write,
    several=True,
    size=True,
)
