"""Clips that come with the package. Their signing is invented, by `signgen.synthetic`; no person was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from signgen import folders


@dataclass(frozen=True)
class Example:
    """A keypoint file and what it is called on the page."""

    title: str
    file: str
    signer: str

    @property
    def path(self) -> Path:
        return folders.EXAMPLES / self.file


EXAMPLES = (
    Example("Weather", "weather.pose", "alma"),
    Example("Fog at the border", "fog.npz", "dara"),
    Example("House in the rain", "house.npz", "femi"),
)
