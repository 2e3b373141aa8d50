"""How data sets lie on disk: where their lists of clips are, and where each clip's frames and keypoints.

Every tree gives the rows of a split by PHOENIX14T's columns, so that whatever works on that works on all of them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signgen.errors import Damaged, Untrusted
from signgen.keypoints.budget import Budget
from signgen.keypoints.safe_pickle import load_pickle

SPLITS = ("train", "dev", "test")
COLUMNS = ("name", "video", "start", "end", "speaker", "orth", "translation")
RELEASE = Path("PHOENIX-2014-T-release-v3", "PHOENIX-2014-T")
FRAMES = Path("features", "fullFrame-210x260px")
Rows = list[tuple[int, dict[str, str]]]
"""(line number, row by column)."""


@dataclass(frozen=True)
class Tree:
    """A data set's layout.

    Attributes:
        label: what it is called.
        sought: what is looked for, for the message where no tree fits.
        releases: places below a root where it may lie.
        list_of: the file that lists a split's clips, or None where the split is not there.
        rows: columns and rows of a split. `Damaged` or `Untrusted` for a list that is not sound.
        frames: where frame folders or videos of a split may be; for each clip the first that has it counts.
        keypoints: where keypoint files or folders may be, beside those that signgen looks for everywhere.
    """

    label: str
    sought: str
    releases: tuple[Path, ...]
    list_of: Callable[[Path, str], Path | None]
    rows: Callable[[Path, str], tuple[tuple[str, ...], Rows]]
    frames: Callable[[Path, str], tuple[Path, ...]]
    keypoints: Callable[[Path, str], tuple[Path, ...]] = lambda release, split: ()

    def find(self, root: Path) -> Path | None:
        """The folder below ``root`` that holds a data set of this layout."""
        places = (root / place for place in self.releases)
        return next((place for place in places if any(self.list_of(place, split) for split in SPLITS)), None)


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def read_list(path: Path, wanted: tuple[str, ...], separator: str = "|") -> tuple[tuple[str, ...], Rows]:
    """Columns, and (line number, row) of each line of a list of clips; no quoting.

    Raises:
        Damaged: not UTF-8, without a column, or a line of another number of fields.
    """
    try:
        # not splitlines: a sentence may have one of Unicode's other line ends in it, which end no line of a table
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise Damaged(path, f"is not UTF-8 at byte {error.start}", "unpack the release's own file again") from error
    reader = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    header = next(reader, [])
    absent = [column for column in wanted if column not in header]
    if absent:
        got = f"lacks the columns {', '.join(absent)}"
        raise Damaged(path, got, f"its first line must be {separator.join(wanted)}".replace("\t", " "))
    rows: Rows = []
    for number, fields in enumerate(reader, 2):
        if not fields:
            continue
        if len(fields) != len(header):
            raise Damaged(path, f"line {number} has {len(fields)} fields", f"each line needs {len(header)}")
        rows.append((number, dict(zip(header, fields, strict=True))))
    return tuple(header), rows


def checked(path: Path, rows: Rows) -> Rows:
    """The rows as they are. `Untrusted` for a name that could lead out of the data set's folders."""
    for number, row in rows:
        if _unsafe(row["name"]) or _unsafe(row["video"].removesuffix("/1/*.png")):
            raise Untrusted(path, f"line {number} names the clip {row['name']!r}", "a name is one plain folder name")
    return rows


def _unsafe(name: str) -> bool:
    return not name or name in (".", "..") or any(sign in name for sign in "/\\\0")


def _row(name: str, speaker: str = "", glosses: str = "", translation: str = "") -> dict[str, str]:
    """A row by PHOENIX14T's columns; what its files use as separators becomes a blank."""
    texts = (" ".join(text.replace("|", " ").split()) for text in (speaker, glosses, translation))
    return dict(zip(COLUMNS, (name, f"{name}/1/*.png", "-1", "-1", *texts), strict=True))


def full_frames(release: Path, split: str) -> tuple[Path, ...]:
    """Folders of frames in PHOENIX's releases, of the original size first, then of whatever copies there are."""
    copies = sorted((release / "features").glob("fullFrame-*px"))
    places = [release / FRAMES, *copies, release / "videos", release / "features" / "videos"]
    return tuple(place / split for place in places)


# --- PHOENIX14T and PHOENIX-2014 ------------------------------------------------------------------------------------
def corpus_name(split: str) -> Path:
    """The corpus file of a split, relative to the release."""
    return Path("annotations", "manual", f"PHOENIX-2014-T.{split}.corpus.csv")


def read_corpus(path: Path) -> tuple[tuple[str, ...], Rows]:
    """A corpus file of PHOENIX14T; `Damaged` or `Untrusted` for one that is not sound."""
    columns, rows = read_list(path, COLUMNS)
    return columns, checked(path, rows)


PHOENIX14T = Tree(
    "PHOENIX14T",
    f"{corpus_name('<split>').name} in annotations/manual",
    (RELEASE, Path(RELEASE.name), Path()),
    lambda release, split: _there(release / corpus_name(split)),
    lambda release, split: read_corpus(release / corpus_name(split)),
    full_frames,
)


def _phoenix_2014(release: Path, split: str) -> Path:
    return release / "annotations" / "manual" / f"{split}.corpus.csv"


def _rows_2014(release: Path, split: str) -> tuple[tuple[str, ...], Rows]:
    path = _phoenix_2014(release, split)
    _, rows = read_list(path, ("id", "folder", "signer", "annotation"))
    made = [(number, _row(row["id"], row["signer"], row["annotation"])) for number, row in rows]
    return COLUMNS, checked(path, made)


PHOENIX_2014 = Tree(
    "PHOENIX-2014",
    "<split>.corpus.csv in annotations/manual (PHOENIX-2014)",
    (
        Path("phoenix2014-release", "phoenix-2014-multisigner"),
        Path("phoenix-2014-multisigner"),
        Path("phoenix2014-release", "phoenix-2014-signerindependent-SI5"),
        Path(),
    ),
    lambda release, split: _there(_phoenix_2014(release, split)),
    _rows_2014,
    full_frames,
)


# --- CSL-Daily ------------------------------------------------------------------------------------------------------
_CSL_LABELS, _CSL_PICKLES = Path("sentence_label"), ("csl2020ct_v2.pkl", "csl2020ct_v1.pkl", "csl2020ct.pkl")


def _csl_list(release: Path, split: str) -> Path | None:
    return next((path for n in ("1", "2") if (path := release / _CSL_LABELS / f"split_{n}.txt").is_file()), None)


def _csl_rows(release: Path, split: str) -> tuple[tuple[str, ...], Rows]:
    """split_1.txt says ``name|split``; the pickle, or video_map.txt, what is signed."""
    path = _csl_list(release, split)
    assert path is not None
    said = {str(one["name"]): one for one in _csl_labels(release / _CSL_LABELS)}
    _, rows = read_list(path, ("name", "split"))
    made = []
    for number, row in rows:
        if row["split"].strip() == split:
            label, name = said.get(row["name"], {}), row["name"]
            signer = label.get("signer")
            speaker = f"Signer{signer:02d}" if isinstance(signer, int) else str(signer or name.partition("_P")[2][:4])
            made.append((number, _row(name, speaker, _joined(label, "gloss"), _joined(label, "char", ""))))
    return COLUMNS, checked(path, made)


def _csl_labels(folder: Path) -> Iterator[Mapping[str, Any]]:
    path = next((folder / name for name in _CSL_PICKLES if (folder / name).is_file()), None)
    if path is None:
        listed = folder / "video_map.txt"
        yield from (row for _, row in read_list(listed, ("name",))[1]) if listed.is_file() else ()
        return
    with path.open("rb") as stream:
        content = load_pickle(stream, str(path), Budget(str(path), path.stat().st_size))
    found = content.get("info") if isinstance(content, Mapping) else None
    if not isinstance(found, list):
        raise Damaged(path, "holds no list 'info'", "unpack CSL-Daily's labels again")
    yield from (one for one in found if isinstance(one, Mapping) and "name" in one)


def _joined(label: Mapping[str, Any], kind: str, between: str = " ") -> str:
    """Glosses or characters of a clip, a list in the pickle and a text in video_map.txt."""
    value = label.get(f"label_{kind}", label.get(kind, ""))
    return between.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


CSL_DAILY = Tree(
    "CSL-Daily",
    "sentence_label/split_1.txt (CSL-Daily)",
    (Path("CSL-Daily"), Path("CSL_Daily"), Path()),
    _csl_list,
    _csl_rows,
    lambda release, split: (
        *sorted((release / "sentence").glob("frames_*")),
        release / "sentence" / "frames_512x512",
        release / "sentence" / "videos",
    ),
)


# --- How2Sign -------------------------------------------------------------------------------------------------------
_HOW2SIGN = {"train": "train", "dev": "val", "test": "test"}  # its names of the splits


def _how2sign_list(release: Path, split: str) -> Path | None:
    own = _HOW2SIGN[split]
    folders = (Path("sentence_level", own, "text", "en", "raw_text", "re_aligned"),
               Path("sentence_level", own, "text", "en", "raw_text"), Path(own), Path())  # fmt: skip
    names = (f"how2sign_realigned_{own}.csv", f"how2sign_{own}.csv")
    return next((found for place in folders for name in names if (found := _there(release / place / name))), None)


def _how2sign_rows(release: Path, split: str) -> tuple[tuple[str, ...], Rows]:
    path = _how2sign_list(release, split)
    assert path is not None
    _, rows = read_list(path, ("SENTENCE_NAME", "SENTENCE"), "\t")
    # A video's name is the recording, a number of the signer, and the camera.
    made = [
        (number, _row(row["SENTENCE_NAME"], _how2sign_signer(row["SENTENCE_NAME"]), "", row["SENTENCE"]))
        for number, row in rows
    ]
    return COLUMNS, checked(path, made)


def _how2sign_signer(name: str) -> str:
    """The number behind the sentence's: ``-g0iPSnQt6w_3-1-rgb_front`` is by signer 1."""
    number = name.removesuffix("-rgb_front").rpartition("-")[2]
    return f"Signer{int(number):02d}" if number.isascii() and number.isdigit() and len(number) < 4 else ""


def _how2sign_places(release: Path, split: str) -> tuple[Path, ...]:
    own = _HOW2SIGN[split]
    return tuple(release / place for place in (f"sentence_level/{own}/rgb_front", f"{own}/rgb_front", own, ""))


HOW2SIGN = Tree(
    "How2Sign",
    "how2sign_realigned_<split>.csv (How2Sign)",
    (Path("How2Sign"), Path()),
    _how2sign_list,
    _how2sign_rows,
    lambda release, split: tuple(place / "raw_videos" for place in _how2sign_places(release, split)),
    lambda release, split: tuple(
        place / inner / "json"
        for place in _how2sign_places(release, split)
        for inner in (Path("features", "openpose_output"), Path("openpose_output"))
    ),
)

TREES = (PHOENIX14T, PHOENIX_2014, CSL_DAILY, HOW2SIGN)
