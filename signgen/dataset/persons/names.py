"""Names of DeepFashion's and Market-1501's pictures, in the ways in which papers write them, and of generated pictures.

DeepFashion's picture ``img/WOMEN/Blouses_Shirts/id_00003372/03_3_back.jpg`` has the flat name
``fashionWOMENBlouses_Shirtsid0000337203_3back.jpg``, by which it is called here; Market-1501's names are flat already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

_TREES = ("MEN", "WOMEN")
_BETWEEN = re.compile(r"_2_|_to_")  # of a source's name and a target's
_OUTFIT = re.compile(r"^(fashion.*?id\d{10})_\d")


def flat_name(path: str) -> str:
    """The flat name of a picture by its path, of which everything before MEN or WOMEN is left out.

    Example:
        >>> flat_name("./img/WOMEN/Blouses_Shirts/id_00003372/03_3_back.jpg")
        'fashionWOMENBlouses_Shirtsid0000337203_3back.jpg'
    """
    parts = PurePosixPath(path.replace("\\", "/")).parts
    start = next((at for at, part in enumerate(parts) if part in _TREES), None)
    if start is None or len(parts) - start != 4:
        return parts[-1] if parts else ""
    gender, category, person, file = parts[start:]
    first, underscore, rest = file.partition("_")
    return f"fashion{gender}{category}{person.replace('_', '')}{first}{underscore}{rest.replace('_', '')}"


def outfit_of(name: str) -> str:
    """What pictures of one person in one outfit have in common: id and variant, or all before the first ``_``."""
    found = _OUTFIT.match(name)
    return found[1] if found else name.partition("_")[0]


def person_of(name: str) -> str:
    """The person of a picture: DeepFashion's id without the outfit's two digits, Market-1501's number."""
    outfit = outfit_of(name)
    return outfit[:-2] if name.startswith("fashion") and outfit != name else outfit


def squeezed(name: str) -> str:
    """A picture's name without what its spellings differ in: folders, ``fashion``, underscores, the file's kind."""
    stem = re.sub(r"\.(jpe?g|png|webp)", "", name, flags=re.IGNORECASE)
    return re.sub(r"[^0-9A-Za-z-]", "", re.sub(r"^(\./)?(img/)?fashion", "", stem))


def output_name(source: str, target: str) -> str:
    """What a generated picture is called, as NTED, PIDM and CFLD do: ``<source>_2_<target>_vis.png``."""
    return f"{_stem(source)}_2_{_stem(target)}_vis.png"


def readings(file: str) -> Iterator[tuple[str, str]]:
    """The (source, target) that a generated picture's name may mean, squeezed; ``_2_`` may be part of a name, too.

    Read are ``X_2_Y_vis.png`` (NTED, PIDM, CFLD), ``X.jpg_2_Y.jpg.png`` (FPDM) and ``X_to_Y.png`` (PCDMs).
    """
    stem = re.sub(r"(_vis)?\.(jpe?g|png|webp)$", "", file, flags=re.IGNORECASE)
    for between in _BETWEEN.finditer(stem):
        yield squeezed(stem[: between.start()]), squeezed(stem[between.end() :])


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
