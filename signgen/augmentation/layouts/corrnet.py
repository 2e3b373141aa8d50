"""What CorrNet and VAC read: frames in ``<clip>/1/``, lists of clips and glosses as npy files, stm files.

CorrNet's own preparation reads a corpus file as one column of comma-separated values and then splits it at ``|``: a
comma or a double quote in a text would tear a line, so both become blanks, in every clip's texts. Names of clips and
speakers are plain for the same reason, and for the stm files, whose columns end at blanks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from signgen.augmentation.jobs import plain_name
from signgen.augmentation.layouts.entries import Entry, Split, corpus, split_row
from signgen.augmentation.store import FRAMES
from signgen.dataset.files import whole_file, write_text

LISTS = Path("preprocess", "phoenix2014-T")
_NO_COMMAS = str.maketrans({",": " ", '"': " "})


def write(out: Path, splits: Sequence[Split], frame: tuple[int, int]) -> list[Path]:
    """Corpus files, ``<split>_info.npy``, ``gloss_dict.npy`` and stm files."""
    written, glosses = [], Counter[str]()
    for split in splits:
        rows = [_row(entry) for entry in split.entries]
        lines = [split_row(split, row) for row in rows]
        written.append(corpus(out, split, lines))
        info = _info(out, split, rows, lines)
        written.append(_save(out / LISTS / f"{split.name}_info.npy", info))
        written.append(_stm(out / LISTS / f"phoenix2014-T-groundtruth-{split.name}.stm", rows))
        for row in rows:
            glosses.update(row["orth"].split())
    numbered = {gloss: [number, glosses[gloss]] for number, gloss in enumerate(sorted(glosses), 1)}
    return [*written, _save(out / LISTS / "gloss_dict.npy", numbered)]


def _row(entry: Entry) -> dict[str, str]:
    """The entry's row with frames in folder ``1``, and texts without commas and quotes."""
    plain = {column: _plain(value) for column, value in entry.row.items()}
    speaker = plain_name(entry.row["speaker"])
    return {**plain, "name": entry.name, "speaker": speaker, "video": f"{entry.name}/1/*.png"}


def _plain(text: str) -> str:
    cleaned = text.translate(_NO_COMMAS)
    return text if cleaned == text else " ".join(cleaned.split())


def _info(out: Path, split: Split, rows: Sequence[Mapping[str, str]], lines: Sequence[str]) -> dict[Any, Any]:
    """{'prefix': folder of the splits, 0: first clip, 1: ...}."""
    info: dict[Any, Any] = {"prefix": str((out / FRAMES).absolute())}
    for number, (entry, row, line) in enumerate(zip(split.entries, rows, lines, strict=True)):
        info[number] = {
            "fileid": row["name"], "folder": f"{split.name}/{row['video']}", "signer": row["speaker"],
            "label": row["orth"], "num_frames": entry.count, "original_info": line,
        }  # fmt: skip
    return info


def _stm(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """One line a clip, of the time-marked format of NIST's scorer; the end stands for that of the file."""
    write_text(path, "".join(f"{row['name']} 1 {row['speaker']} 0.0 1.79769e+308 {row['orth']}\n" for row in rows))
    return path


def _save(path: Path, content: dict[Any, Any]) -> Path:
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.array(content, dtype=object), allow_pickle=True)
    return path
