"""What is asked of an augmentation, and which part of it decides a clip's content."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from signgen.augmentation.variation import Variation
from signgen.errors import BadValue, Mismatch, Missing
from signgen.rendering import RenderSettings

LAYOUTS = ("phoenix14t", "corrnet", "slrt", "mska")
MEDIA = ("png", "mp4", "none")
NEEDS_PNG = ("corrnet", "slrt")  # their loaders read numbered PNG files and nothing else


@dataclass(frozen=True)
class Settings:
    """An augmentation.

    Attributes:
        signers: who signs: names, or pictures with a keypoint file beside them.
        copies: new clips of each clip, 1 to 99; four were measured (docs/augment.md, "Does it help?").
        splits: which splits are augmented; the others are carried over.
        seed: of everything random.
        variation: how far copies differ from their source.
        model: ``mini`` or a model's folder.
        steps, guidance, window, overlap, device, dtype, backend, export: as in `RenderSettings`.
        threads: of one worker's computing. Sums in another order differ in their last bits, so the number is part of
            what a clip depends on, and the same wherever it is made.
        gate: HandPE-drive in pixels of the frame above which a clip is marked; None: clips are not judged.
        media: ``png``, ``mp4`` or ``none`` (keypoints alone).
        layouts: which files the finished set gets.
    """

    signers: tuple[str, ...]
    copies: int = 4
    splits: tuple[str, ...] = ("train",)
    seed: int = 0
    variation: Variation = field(default_factory=Variation)
    model: str = "mini"
    steps: int | None = None
    guidance: tuple[float, float] | None = None
    window: int | None = None
    overlap: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    export: str | None = None
    threads: int = 1
    gate: float | None = 6.0
    media: str = "png"
    layouts: tuple[str, ...] = ("phoenix14t",)

    def __post_init__(self) -> None:
        if not self.signers:
            raise Missing("--signers", "names nobody", "give signers separated by commas, or how many")
        if len({Path(signer).name for signer in self.signers}) < len(self.signers):  # the manifest has file names
            raise BadValue("--signers", f"got {', '.join(self.signers)}", "each signer once, by a name of its own")
        for option, given, known in (("--layout", self.layouts, LAYOUTS), ("--media", (self.media,), MEDIA)):
            if unknown := set(given) - set(known):
                raise BadValue(option, f"got {sorted(unknown)[0]!r}", f"it is one of {', '.join(known)}")
        ranges = {"copies": (1, 99), "threads": (1, 256), "gate": (0.1, 1000)}  # names of copies end in two digits
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise BadValue(f"--{name}", f"got {value}", f"allowed are {low} to {high}")
        for layout in self.layouts:
            if layout in NEEDS_PNG and self.media != "png":
                raise Mismatch("--media", f"got {self.media} with --layout {layout}", f"{layout} reads PNG files")
        if "phoenix14t" in self.layouts and self.media == "none":
            advice = "choose png or mp4, or --layout mska alone"
            raise Mismatch("--media", "got none with --layout phoenix14t", advice)
        self.render_settings()

    @property
    def nested(self) -> bool:
        """Whether frames lie in a folder ``1`` inside the clip's own, where CorrNet looks for them."""
        return "corrnet" in self.layouts

    @property
    def flat(self) -> bool:
        """Whether they lie in the clip's own folder, where PHOENIX14T's readers look for them."""
        return "corrnet" not in self.layouts or "phoenix14t" in self.layouts

    def render_settings(self, **more: Any) -> RenderSettings:
        """The render's part; InputError for values that no render takes."""
        names = ("steps", "guidance", "window", "overlap", "device", "dtype", "backend", "export")
        return RenderSettings(**{name: getattr(self, name) for name in names}, **more)

    def content(self) -> dict[str, Any]:
        """What a clip's files depend on, as plain data; the rest only says which clips and where they lie."""
        values = asdict(self)
        for name in ("copies", "splits", "layouts", "device"):
            del values[name]
        values["model"] = Path(self.model).name
        values["export"] = None if self.export is None else Path(self.export).name
        values["signers"] = [Path(signer).name for signer in self.signers]
        values["nested"] = "both" if self.nested and self.flat else self.nested
        return values
