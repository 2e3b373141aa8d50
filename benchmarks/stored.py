"""Finished measurements in a file beside their program: what took hours is not repeated, on whatever machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from signgen.dataset.files import write_text
from signgen.errors import Damaged

_UNTOLD = ("curve", "key", "seconds")  # too long, said by the digest, and of one machine


def digest_of(key: dict[str, Any]) -> str:
    """Of everything that a result depends on."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


class Stored:
    """Results by the digest of everything that they depend on.

    Args:
        path: of the file; it may be missing.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.found = path, dict[str, dict[str, Any]]()
        if path.is_file():
            try:
                self.found = {digest: dict(one) for digest, one in json.loads(path.read_text("utf-8")).items()}
            except (ValueError, TypeError, AttributeError) as problem:
                raise Damaged(path, f"holds no results ({problem})", "name another file") from None

    def get(self, digest: str, kind: str) -> Any:
        """What there is of a digest: a result, or another kind of what belongs to it; None: nothing."""
        return self.found.get(digest, {}).get(kind)

    def like(self, kind: str, **about: Any) -> Any:
        """The one thing of that kind that says this of itself, whatever else it depended on; None: there is none, or
        there are several."""
        found = [one[kind] for one in self.found.values() if kind in one and about.items() <= one[kind].items()]
        return found[0] if len(found) == 1 else None

    def add(self, digest: str, kind: str, found: dict[str, Any]) -> None:
        """Puts something there."""
        kept = {name: value for name, value in found.items() if name not in _UNTOLD}
        self.found.setdefault(digest, {})[kind] = kept

    def write(self) -> None:
        """Writes the file whole."""
        rows = [f"{json.dumps(digest)}: {json.dumps(self.found[digest])}" for digest in sorted(self.found)]
        write_text(self.path, "{\n" + ",\n".join(rows) + "\n}\n")
