"""Person synthesis' data sets as one table: pictures with 18 points each, and which is the source of which target.

Two dialects of DeepFashion In-shop and one of Market-1501 are read as their papers' code left them on the disk:

    cfld    {fasion,fashion}-{resize-,}pairs-SPLIT.csv (from,to) and ...annotation-SPLIT.csv
            (name:keypoints_y:keypoints_x), pictures in SPLIT_highres/, SPLIT/ or the unpacked tree (CFLD, DPTN, GFLA)
    nted    SPLIT_pairs.txt (target,source) and pose/.../*.txt (NTED, PIDM, PCDMs), pictures in img/
    fpdm    SPLIT_pairs_data.json (source_image, target_image) and pose/.../*.txt (FPDM), pictures in img/
    market  market-pairs-SPLIT.csv and market-annotation-SPLIT.csv, pictures in SPLIT/ or bounding_box_SPLIT/

A list of pairs is a protocol and is taken as it is. Where there is none, pairs are made by PATN's rule: all ordered
pairs of one person in one outfit whose poses show both shoulders and both hips; of Market-1501's test 12,000 by chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from signgen.dataset.persons.names import flat_name, outfit_of, person_of
from signgen.errors import BadValue, Damaged, Empty, Missing, NotFound, TooLarge, Untrusted, damage
from signgen.keypoints.layouts.body18 import TRUNK

LAYOUTS = ("cfld", "nted", "fpdm", "market")
SPLITS = ("train", "test")
FASHION, MARKET = (176, 256), (64, 128)  # (W, H) of the frame that points are in
PADDED = 40  # pixels at the left of a picture of 256x256 whose person stands in the middle 176
MARKET_PAIRS = 12_000  # of the test split, drawn as pandas' sample(random_state=0) draws
KNOWN_PAIRS = {"fashion": {"train": 101_966, "test": 8_570}, "market": {"train": 263_632, "test": 12_000}}
MOST_BYTES = 512 << 20  # of a list; DeepFashion's largest takes 18 MB
_SPELLINGS = ("fasion", "fashion")  # the code writes the first, its README the second
_IMAGE_TREES = ("img", "img_highres", ".")


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: flat name, see `signgen.dataset.persons.names`.
        path: relative to the data set.
        points: float32 (18, 3) x, y in pixels of the table's frame, 1 or 0 where missing (then all are 0).
    """

    name: str
    path: str
    points: np.ndarray


@dataclass(frozen=True)
class PairTable:
    """A split.

    Attributes:
        root: the data set; layout: one of `LAYOUTS`; split: train or test.
        pictures: those of the pairs, by name.
        pairs: int64 (N, 2) source and target, numbers of pictures, in the list's order.
        rule: where the pairs are from, in words.
        left_out: (pair, why) of those that cannot be used.
    """

    root: Path
    layout: str
    split: str
    pictures: tuple[Picture, ...]
    pairs: np.ndarray
    rule: str
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def frame(self) -> tuple[int, int]:
        """(W, H) that the points are in."""
        return MARKET if self.layout == "market" else FASHION

    @cached_property
    def names(self) -> list[tuple[str, str]]:
        """(source, target) of each pair."""
        return [(self.pictures[source].name, self.pictures[target].name) for source, target in self.pairs]

    def points(self, size: tuple[int, int]) -> np.ndarray:
        """float32 (P, 18, 3) of all pictures, in pixels of pictures of ``size`` (W, H)."""
        scale = np.array([size[0] / self.frame[0], size[1] / self.frame[1], 1.0], np.float32)
        return np.stack([picture.points for picture in self.pictures]) * scale

    def file(self, picture: int) -> Path:
        """Where a picture lies."""
        return self.root / self.pictures[picture].path

    @property
    def files(self) -> list[Path]:
        """Where all pictures lie."""
        return [self.file(number) for number in range(len(self.pictures))]


def find_layout(root: Path, layout: str | None = None) -> str:
    """The data set's dialect, or the one that is asked for.

    Raises:
        NotFound: nothing of any dialect is there. BadValue: no such layout.
    """
    if layout is not None and layout not in LAYOUTS:
        raise BadValue("--layout", f"got {layout!r}", f"choose from {', '.join(LAYOUTS)}")
    if not root.is_dir():
        raise NotFound(root, "no such folder", "check the path")
    found = [name for name in LAYOUTS if splits_of(root, name)]
    if layout is not None:
        if layout not in found:
            raise NotFound(root, f"holds no list of layout {layout}", f"looked for {_SOUGHT[layout]}")
        return layout
    if not found:
        raise NotFound(root, "holds no pairs or annotations", f"looked for {', '.join(_SOUGHT.values())}")
    return found[0]


def holds_pairs(root: Path) -> bool:
    """Whether a folder is a data set of person synthesis."""
    return any(splits_of(root, layout) for layout in LAYOUTS)


_SOUGHT = {
    "cfld": "fasion-resize-annotation-train.csv", "nted": "train_pairs.txt", "fpdm": "train_pairs_data.json",
    "market": "market-annotation-train.csv",
}  # fmt: skip


def _lists(root: Path, layout: str, split: str) -> Iterator[Path]:
    """The lists of a split that are there: what its presence is told by."""
    if layout in ("cfld", "market"):
        for kind in ("annotation", "pairs"):
            if found := _csv(root, layout, kind, split):
                yield found
    else:
        path = root / (f"{split}_pairs.txt" if layout == "nted" else f"{split}_pairs_data.json")
        if path.is_file():
            yield path


def _csv(root: Path, layout: str, kind: str, split: str) -> Path | None:
    """``kind``: pairs or annotation."""
    if layout == "market":
        names = [f"market-{kind}-{split}.csv"]
    else:
        names = [f"{word}-{size}{kind}-{split}.csv" for size in ("resize-", "") for word in _SPELLINGS]
    return next((root / name for name in names if (root / name).is_file()), None)


def splits_of(root: Path, layout: str) -> tuple[str, ...]:
    """The splits that are there."""
    return tuple(split for split in SPLITS if next(_lists(root, layout, split), None))


def read_table(root: str | Path, split: str = "test", layout: str | None = None) -> PairTable:
    """Reads a split of a data set.

    Args:
        root: the data set's folder; split: train or test; layout: found by its files where None.

    Raises:
        InputError: a list is damaged or names what is not there.
    """
    root = Path(root)
    layout = find_layout(root, layout)
    if not next(_lists(root, layout, split), None):
        raise NotFound(
            root, f"holds no split {split!r}, only {', '.join(splits_of(root, layout))}", "choose one of them"
        )
    finder = _PictureFinder(root, layout, split)
    if layout in ("cfld", "market"):
        pairs, known = _from_csv(root, layout, split, finder)
    else:
        pairs, known = _from_pose_files(root, layout, split, finder)
    rule = "as listed" if pairs is not None else "all of one outfit whose poses show shoulders and hips"
    if pairs is None:
        pairs = _made(known, layout, split)
    return _table(root, layout, split, pairs, known, rule, finder)


def survey(root: str | Path, splits: Sequence[str] = (), layout: str | None = None) -> dict[str, Any]:
    """What a data set of pairs holds, beside the known counts, as plain data.

    Args:
        splits: which; all that are there where empty.
    """
    root = Path(root)
    layout = find_layout(root, layout)
    found: dict[str, Any] = {"dataset": str(root), "layout": layout, "splits": {}}
    for split in splits or splits_of(root, layout):
        table = read_table(root, split, layout)
        seen = np.stack([picture.points[:, 2] for picture in table.pictures])
        found["splits"][split] = {
            "pairs": len(table.pairs), "pairs_known": KNOWN_PAIRS["market" if layout == "market" else "fashion"][split],
            "rule": table.rule, "pictures": len(table.pictures),
            "outfits": len({outfit_of(picture.name) for picture in table.pictures}),
            "people": len({person_of(picture.name) for picture in table.pictures}),
            "points_missing": round(float(1 - seen.mean()), 4),
            "trunks_missing": int((~seen[:, list(TRUNK)].astype(bool).all(1)).sum()),
            "left_out": [list(pair) for pair in table.left_out],
        }  # fmt: skip
    return found


def all_pictures(root: Path, split: str, layout: str) -> list[Path]:
    """Every picture of a split, for FID's reference set: of ``SPLIT.lst``, else of its folder, else of its pairs."""
    finder, listed = _PictureFinder(root, layout, split), root / f"{split}.lst"
    if listed.is_file():
        names = [line.strip() for line in _text(listed).splitlines() if line.strip()]
        return [root / finder.path(name, listed) for name in names]
    folder = next((folder for folder in finder.folders if folder.is_dir()), None)
    if folder is not None:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    return read_table(root, split, layout).files


# -- pictures --------------------------------------------------------------------------------------------------------


class _PictureFinder:
    """Where pictures lie, by flat name or by path."""

    def __init__(self, root: Path, layout: str, split: str) -> None:
        self.root, self.layout = root, layout
        market = [f"bounding_box_{split}"] if layout == "market" else []
        self.folders = [root / name for name in (f"{split}_highres", split, *market)]

    def path(self, name: str, source: Path) -> str:
        """A picture relative to the root, by a name that ``source`` gives; `Untrusted` for one that leads out of it."""
        given = PurePosixPath(name.removeprefix("./"))
        if given.is_absolute() or ".." in given.parts:
            raise Untrusted(source, f"names {name[:200]!r}, which leads out of the data set", "correct that line")
        if len(given.parts) > 1:
            return next((str(place / given) for place in map(PurePosixPath, (".", *_IMAGE_TREES))
                         if (self.root / place / given).is_file()), str(given))  # fmt: skip
        for folder in self.folders:
            if (folder / name).is_file():
                return (folder / name).relative_to(self.root).as_posix()
        return self._originals.get(name, name)

    @cached_property
    def _originals(self) -> dict[str, str]:
        """Flat name -> path of every picture of the unpacked tree of DeepFashion."""
        trees = [self.root / place / gender for place in _IMAGE_TREES for gender in ("MEN", "WOMEN")]
        files = (path.relative_to(self.root).as_posix() for tree in trees for path in tree.glob("*/*/*.jpg"))
        return {flat_name(file): file for file in files}


Known = dict[str, tuple[str, np.ndarray]]
"""Flat name -> path relative to the root, points (18, 3)."""
Pairs = list[tuple[str, str]]


def _table(
    root: Path, layout: str, split: str, pairs: Pairs, known: Known, rule: str, finder: _PictureFinder
) -> PairTable:
    """Pairs by name as numbers of the pictures that they need."""
    usable, left_out = [], []
    for source, target in pairs:
        lacking = next((name for name in (source, target) if name not in known), None)
        if lacking is None:
            usable.append((source, target))
        else:
            left_out.append((f"{source} to {target}", f"{lacking} has no annotation"))
    if not usable:
        raise Empty(root, f"has no pair of {split} that can be used", "see its lists of pairs and annotations")
    names = sorted({name for pair in usable for name in pair})
    numbers = {name: number for number, name in enumerate(names)}
    pictures = tuple(Picture(name, *known[name]) for name in names)
    absent = [picture for picture in pictures if not (root / picture.path).is_file()]
    if absent:
        sought = ", ".join(folder.name for folder in finder.folders) if "/" not in absent[0].path else absent[0].path
        got = f"lacks {len(absent)} of {len(pictures)} pictures, such as {absent[0].name}"
        raise Missing(root, got, f"looked for {sought}; unpack the data set there")
    table = np.array([(numbers[source], numbers[target]) for source, target in usable], np.int64)
    return PairTable(root, layout, split, pictures, table, rule, tuple(left_out))


def _made(known: Known, layout: str, split: str) -> Pairs:
    """All ordered pairs of one outfit with whole trunks, by name; see the module's text."""
    outfits: dict[str, list[str]] = {}
    for name in sorted(known):
        stray = layout == "market" and name.startswith(("-1", "0000"))  # crowds and false detections
        if not stray and known[name][1][list(TRUNK), 2].all():
            outfits.setdefault(outfit_of(name), []).append(name)
    pairs = [pair for names in outfits.values() for pair in permutations(names, 2)]
    if layout == "market" and split == "test" and len(pairs) > MARKET_PAIRS:
        chosen = np.random.RandomState(0).choice(len(pairs), MARKET_PAIRS, replace=False)
        pairs = [pairs[number] for number in chosen]
    return pairs


# -- dialects --------------------------------------------------------------------------------------------------------


def _from_csv(root: Path, layout: str, split: str, finder: _PictureFinder) -> tuple[Pairs | None, Known]:
    annotation = _csv(root, layout, "annotation", split)
    if annotation is None:
        raise Missing(root, f"has no annotation of {split}", f"put {_SOUGHT[layout].replace('train', split)} there")
    shift = PADDED if layout == "cfld" and "-resize-" not in annotation.name else 0  # GFLA's are of 256x256
    known = {name: (finder.path(name, annotation), points) for name, points in _annotations(annotation, shift)}
    listed = _csv(root, layout, "pairs", split)
    return None if listed is None else list(_listed_pairs(listed)), known


def _annotations(path: Path, shift: int) -> Iterator[tuple[str, np.ndarray]]:
    for number, line in _lines(path):
        parts = [part.strip() for part in line.split(":")]
        if number == 1 and parts[0] == "name":
            continue
        with _line(path, number, "name: [18 y]: [18 x]"):
            name, *lists = parts
            y, x = (np.asarray(json.loads(values), np.float32) for values in lists)
            yield _flat(name), _points(x, y, shift)


def _listed_pairs(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in _lines(path):
        names = [part.strip() for part in line.split(",")]
        if number == 1 and names == ["from", "to"]:
            continue
        with _line(path, number, "from,to"):
            source, target = names
            yield _flat(source), _flat(target)


def _flat(name: str) -> str:
    """A flat name as a list has it; `ValueError` for anything else."""
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise ValueError(f"{name[:80]!r} is no flat name")
    return name


def _from_pose_files(root: Path, layout: str, split: str, finder: _PictureFinder) -> tuple[Pairs, Known]:
    """Pairs of paths, and the points of each picture in a text file of its own."""
    path = next(_lists(root, layout, split))
    listed = list(_json_pairs(path) if layout == "fpdm" else _text_pairs(path))
    known: Known = {}
    pairs: Pairs = []
    for pair in listed:
        pairs.append((flat_name(pair[0]), flat_name(pair[1])))
        for name, picture in zip(pairs[-1], pair, strict=True):
            if name in known:
                continue
            place = finder.path(picture, path)
            pose = root / Path("pose", *_below_img(place)).with_suffix(".txt")
            if pose.is_file():
                known[name] = place, _pose_file(pose)
    return pairs, known


def _below_img(place: str) -> tuple[str, ...]:
    parts = PurePosixPath(place).parts
    return parts[1:] if parts[0] in _IMAGE_TREES else parts


def _text_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """``target,source[,source...]``: the first is the target, whatever one README says; each source makes a pair."""
    for number, line in _lines(path):
        with _line(path, number, "target,source"):
            target, first, *more = (part.strip() for part in line.split(","))
            yield from ((source, target) for source in (first, *more))


def _json_pairs(path: Path) -> Iterator[tuple[str, str]]:
    with _line(path, 1, 'a list of {"source_image": ..., "target_image": ...}'):
        for pair in json.loads(_text(path)):
            yield str(pair["source_image"]), str(pair["target_image"])


def _pose_file(path: Path) -> np.ndarray:
    """18 rows of ``x y`` in the padded frame of 256x256."""
    with _line(path, 1, "18 rows of x y"):
        rows = np.array([[float(value) for value in line.split()] for line in _text(path).split("\n") if line.strip()])
        return _points(rows[:, 0].astype(np.float32), rows[:, 1].astype(np.float32), PADDED)


def _points(x: np.ndarray, y: np.ndarray, shift: int) -> np.ndarray:
    """(18, 3); a point is missing where one of its coordinates is -1."""
    if x.shape != (18,) or y.shape != (18,) or not np.isfinite([x, y]).all():
        raise ValueError("18 numbers are wanted twice")
    there = (x != -1) & (y != -1)
    return np.stack([np.where(there, x - shift, 0), np.where(there, y, 0), there], -1).astype(np.float32)


# -- files -----------------------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    if path.stat().st_size > MOST_BYTES:
        raise TooLarge(path, f"has {path.stat().st_size:,} bytes", f"lists of at most {MOST_BYTES:,} bytes are read")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Damaged(path, "is no text", "unpack it again") from None


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip())


def _line(path: Path, number: int, wanted: str) -> AbstractContextManager[None]:
    """What is wrong with a line of a list becomes `Damaged`, which names the line and what it should be."""
    kinds = (ValueError, TypeError, LookupError, RecursionError)
    return damage(path, f"line {number} cannot be read", f"it should be {wanted}", *kinds)
