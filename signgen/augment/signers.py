"""Who signs the copies: built-in signers, or pictures with a keypoint file beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from signgen.errors import InputError
from signgen.sources import Source, builtin_names, load_source

KEYPOINT_SUFFIXES = (".npz", ".json", ".pose")


def pick_signers(wanted: str) -> tuple[str, ...]:
    """Signers from a number of built-in ones, or from names and pictures separated by commas."""
    names = builtin_names()
    if wanted.strip().isdecimal():
        count = int(wanted)
        if not 1 <= count <= len(names):
            raise InputError("--signers", f"got {count}", f"there are {len(names)} built-in signers")
        return tuple(names[:count])
    return tuple(part.strip() for part in wanted.split(",") if part.strip())


def load_signers(specs: tuple[str, ...]) -> dict[str, Source]:
    """The pictures by what was asked for.

    Raises:
        InputError: no such picture, or nobody has said where its person stands: copies are fitted to that person.
    """
    return {spec: _load(spec) for spec in specs}


def _load(spec: str) -> Source:
    source = load_source(spec)
    if source.keypoints is not None:
        return source
    beside = [Path(spec).with_suffix(suffix) for suffix in KEYPOINT_SUFFIXES]
    found = next((path for path in beside if path.is_file()), None)
    if found is None:
        raise InputError(spec, f"has no {beside[0].name} beside it", "say with a keypoint file where the person stands")
    return load_source(spec, found)


def fingerprint(source: Source) -> str:
    """SHA-256 of a signer's picture and place."""
    digest = hashlib.sha256(source.image.tobytes())
    if source.keypoints is not None:
        digest.update(source.keypoints.xy.tobytes())
        digest.update(source.keypoints.confidence.tobytes())
    return digest.hexdigest()
