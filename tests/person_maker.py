"""A tiny DeepFashion and a tiny Market-1501 of drawn people, in the dialects of their papers, with their traps.

Two genders, two categories each, two people each, three views each: as drawn, mirrored, and smaller at the side. Points
are those of the drawing, whole numbers in a frame of 176x256, so that the dialect without fractions loses nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from signgen.keypoints.layouts.body18 import to_body18
from signgen.rendering.source import load_source

SIZE, FRAME = (750, 1101), (176, 256)  # of pictures and of their points
SIGNERS = ("alma", "bela", "cora", "dara", "emil", "femi", "gwen", "hana")
CATEGORIES = {"WOMEN": ("Blouses_Shirts", "Dresses"), "MEN": ("Tees_Tanks", "Denim")}
TEST = ("alma", "emil", "dara")  # the others are for training
LAST = "7_additional"
VIEWS = {"alma": ("1_front", "2_side", "4_full"), "dara": ("1_front", "3_back", "6_flat")}  # a name with _flat
OTHER_VIEWS = ("1_front", "3_back", LAST)
PARTNERS = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)  # of the 18 in a mirrored picture


@dataclass(frozen=True)
class Drawn:
    """One picture: where it lies in DeepFashion's tree, its flat name, pixels, and points (18, 2), -1 where missing."""

    split: str
    path: str  # below img/
    flat: str
    image: np.ndarray
    points: np.ndarray


def draw_people() -> list[Drawn]:
    """All pictures; in split test one hip is missing in a picture, in train another point has one -1."""
    found = []
    for number, signer in enumerate(SIGNERS):
        gender = tuple(CATEGORIES)[number % 2]
        category = CATEGORIES[gender][number // 2 % 2]
        split = "test" if signer in TEST else "train"
        person = load_source(signer)
        assert person.keypoints is not None
        body = to_body18(np.concatenate([person.keypoints.xy[0], person.keypoints.confidence[0, :, None]], -1))
        for view, name in enumerate(VIEWS.get(signer, OTHER_VIEWS)):
            image, points = _placed(person.image, _with_hips(body), view)
            if signer == "emil" and name == LAST:
                points[8] = -1  # a hip
            if signer == "femi" and name == LAST:
                points[4, 0] = -1  # one coordinate alone
            path = f"{gender}/{category}/id_{number:08d}/0{number % 3 + 1}_{name}.jpg"
            flat = f"fashion{gender}{category}id{number:08d}0{number % 3 + 1}_{name.replace('_', '')}.jpg"
            found.append(Drawn(split, path, flat, image, points))
    return found


def _with_hips(body: np.ndarray) -> np.ndarray:
    """(18, 3) -> (18, 2) with hips where a drawn signer's picture ends, NaN where missing."""
    xy = np.where(body[:, 2:] > 0, body[:, :2], np.nan)
    drop = np.array([0, 1.5 * np.hypot(*(xy[2] - xy[5]))])
    xy[8], xy[11] = xy[2] * 0.75 + xy[5] * 0.25 + drop, xy[5] * 0.75 + xy[2] * 0.25 + drop
    return xy


def _placed(image: np.ndarray, xy: np.ndarray, view: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture on a canvas of `SIZE`, the clothes going on to its lower end, and the points (18, 2) in `FRAME`."""
    height, width = image.shape[:2]
    if view == 1:
        image, xy = image[:, ::-1], (np.array([width - 1, 0]) + xy * np.array([-1, 1]))[list(PARTNERS)]
    scale = (SIZE[0] / width) * (0.75 if view == 2 else 1.0)
    left = (SIZE[0] - round(width * scale)) * view // 2
    large = np.asarray(Image.fromarray(image).resize((round(width * scale), round(height * scale))))
    right, below = SIZE[0] - left - large.shape[1], SIZE[1] - large.shape[0]
    canvas = np.pad(large, ((0, below), (left, right), (0, 0)), mode="edge")
    points = (xy * scale + [left, 0]) * np.array(FRAME) / SIZE
    inside = np.isfinite(points).all(-1) & (points >= 0).all(-1) & (points < FRAME).all(-1)
    return canvas, np.where(inside[:, None], np.floor(np.nan_to_num(points)), -1)


def _save(image: np.ndarray, path: Path, size: tuple[int, int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image)
    (picture if size is None else picture.resize(size)).save(path, quality=90)


def pairs_of(people: list[Drawn], split: str) -> list[tuple[Drawn, Drawn]]:
    """All ordered pairs of one person with whole trunks, as PATN makes them."""
    whole = [one for one in people if one.split == split and (one.points[[2, 5, 8, 11]] != -1).all()]
    whole.sort(key=lambda one: one.flat)
    same = lambda one, other: one.path.split("/")[2] == other.path.split("/")[2]  # noqa: E731
    return [(one, other) for one in whole for other in whole if one is not other and same(one, other)]


def write_cfld(root: Path, people: list[Drawn], word: str = "fasion", listed: bool = True) -> Path:
    """Dialect A: flat names, CSV files, points in whole numbers, y first."""
    root.mkdir()
    for split in ("train", "test"):
        own = [one for one in people if one.split == split]
        rows = ["name:keypoints_y:keypoints_x"]
        for one in own:
            x, y = one.points.astype(int).T.tolist()
            rows.append(f"{one.flat}: {json.dumps(y)}: {json.dumps(x)}")
            _save(one.image, root / f"{split}_highres" / one.flat)
        (root / f"{word}-resize-annotation-{split}.csv").write_text("\n".join(rows) + "\n")
        (root / f"{split}.lst").write_text("".join(f"{one.flat}\n" for one in own))
        if listed:
            lines = ["from,to", *(f"{source.flat},{target.flat}" for source, target in pairs_of(people, split))]
            (root / f"{word}-resize-pairs-{split}.csv").write_text("\n".join(lines) + "\n")
    return root


def write_tree(root: Path, people: list[Drawn], fpdm: bool = False) -> Path:
    """Dialect B: the unpacked tree, one text file of points a picture in the padded frame, lists of pairs."""
    for one in people:
        _save(one.image, root / "img" / one.path)
        missing = (one.points == -1).any(-1)
        padded = np.where(missing[:, None], -1, one.points + [40, 0])
        padded[missing, 1] = one.points[missing, 1]  # a coordinate that is there stays there
        place = (root / "pose" / one.path).with_suffix(".txt")
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(place, padded)
    for split in ("train", "test"):
        pairs = pairs_of(people, split)
        if fpdm:
            listed = [{"source_image": f"./img/{s.path}", "target_image": f"./img/{t.path}"} for s, t in pairs]
            (root / f"{split}_pairs_data.json").write_text(json.dumps(listed))
        else:
            (root / f"{split}_pairs.txt").write_text("".join(f"img/{t.path},img/{s.path}\n" for s, t in pairs))
    return root


def write_market(root: Path, people: list[Drawn]) -> Path:
    """Market-1501 with annotations and without lists of pairs; one picture of the crowd and one false detection."""
    for split in ("train", "test"):
        rows = ["name:keypoints_y:keypoints_x"]
        numbers = {path: n for n, path in enumerate(sorted({one.path.split("/")[2] for one in people}))}
        for n, one in enumerate(one for one in people if one.split == split):
            person = f"{numbers[one.path.split('/')[2]] + 1:04d}"
            for name in (
                f"{person}_c{n % 6 + 1}s1_{n:06d}_01.jpg",
                *(("-1_c1s1_1_0.jpg", "0000_c1s1_2_0.jpg")[: 2 * (n == 0)]),
            ):
                missing = one.points == -1
                x, y = np.where(missing, -1, one.points * [64 / 176, 128 / 256]).astype(int).T.tolist()
                rows.append(f"{name}: {json.dumps(y)}: {json.dumps(x)}")
                _save(one.image, root / f"bounding_box_{split}" / name, (64, 128))
        (root / f"market-annotation-{split}.csv").write_text("\n".join(rows) + "\n")
    return root
