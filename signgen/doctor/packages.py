"""Packages that signgen needs or can use: whether they are there in a version that will do, and what gets them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import metadata

from packaging.requirements import Requirement

from signgen.extraction.packages import INSTALL

TEST_EXTRAS = ("test", "dev")  # of no use to those who only run signgen


def install_command(extra: str) -> str:
    """The whole line that installs what an extra of signgen stands for."""
    return INSTALL.get(extra, f'pip install "signgen[{extra}]"')


@dataclass(frozen=True)
class OptionalPackage:
    """What signgen can use and does not need.

    Attributes:
        name: for people; distributions: that must all be there.
        use: what for.
        command: how to get it.
        found: version of the first distribution, or None where one is missing.
        missing: distributions that are not there.
    """

    name: str
    distributions: tuple[str, ...]
    use: str
    command: str
    found: str | None = None
    missing: tuple[str, ...] = ()


KNOWN = (
    OptionalPackage("openvino", ("openvino", "nncf"), "faster rendering on CPUs", install_command("cpu")),
    OptionalPackage("xformers", ("xformers",), "another attention on GPUs", install_command("xformers")),
    OptionalPackage(
        "mediapipe", ("mediapipe",), "keypoints from video (signgen extract), Hand PE", install_command("mediapipe")
    ),
    OptionalPackage(
        "mmpose",
        ("mmpose", "mmengine", "mmcv-lite"),
        "HRNet's keypoints from video, Hand PE",
        install_command("mmpose"),
    ),
    OptionalPackage(
        "rtmlib", ("rtmlib", "onnxruntime"), "RTMW's keypoints from video, Hand PE", install_command("rtmlib")
    ),
    OptionalPackage("gradio", ("gradio",), "the pages of signgen app and signgen serve", install_command("app")),
    OptionalPackage(
        "onnx", ("onnx", "onnxruntime"), "files for other programs and for web pages", install_command("onnx")
    ),
    OptionalPackage("pyarrow", ("pyarrow",), "parquet files of keypoints", install_command("parquet")),
    OptionalPackage("stlpips", ("stlpips-pytorch",), "ST-LPIPS (signgen evaluate)", install_command("perceptual")),
    OptionalPackage("ray", ("ray",), "signgen augment on a cluster", install_command("ray")),
    OptionalPackage("tensorboard", ("tensorboard",), "curves of signgen train", install_command("logs")),
    OptionalPackage("anny", ("anny",), "new drawn signers (tools/bake_signers.py)", install_command("bake")),
)
SAME = {"mmcv-lite": ("mmcv-lite", "mmcv"), "onnxruntime": ("onnxruntime", "onnxruntime-gpu")}  # either will do


def optional_packages() -> list[OptionalPackage]:
    """All of `KNOWN`, with what is there. Nothing is imported: one that breaks on import counts as there."""
    return [_look_up(known) for known in KNOWN]


def _look_up(known: OptionalPackage) -> OptionalPackage:
    versions = {name: next(filter(None, map(_version, SAME.get(name, (name,)))), None) for name in known.distributions}
    missing = tuple(name for name, version in versions.items() if version is None)
    found = None if missing else versions[known.distributions[0]]
    return replace(known, found=found, missing=missing)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Package:
    """A package that signgen asks for.

    Attributes:
        name; wanted: versions that will do, "" = any.
        found: the version that is there, or None.
        extra: the optional part of signgen that it belongs to, "" = all of signgen needs it.
        fits: whether what is there will do.
        command: how to get it.
    """

    name: str
    wanted: str
    found: str | None
    extra: str
    fits: bool
    command: str


def installed_packages(distribution: str = "signgen") -> list[Package]:
    """All that a distribution asks for on this platform, needed ones first; then packages known to do harm."""
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return [Package(distribution, "", None, "", False, "pip install .  # in the folder of its source")]
    found = [package for line in lines if (package := _find(Requirement(line), distribution)) is not None]
    found.sort(key=lambda package: (package.extra, package.name))
    return found + _harmful()


def _find(requirement: Requirement, distribution: str) -> Package | None:
    """None for what this platform does not need, and for tests."""
    extra = next((name for name in ("", *_extras(distribution)) if _holds(requirement, name)), None)
    if extra is None:
        return None
    found = _version(requirement.name)
    fits = found is not None and requirement.specifier.contains(found, prereleases=True)
    command = install_command(extra) if extra else f'pip install "{requirement.name}{requirement.specifier}"'
    return Package(requirement.name, str(requirement.specifier), found, extra, fits, command)


def _extras(distribution: str) -> list[str]:
    names = metadata.metadata(distribution).get_all("Provides-Extra") or []
    return [name for name in names if name not in TEST_EXTRAS]


def _holds(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _harmful() -> list[Package]:
    """torchvision made for another torch than the one that is there breaks transformers on import."""
    found, torch = _version("torchvision"), _version("torch")
    if found is None or torch is None:
        return []
    wanted = next((str(r.specifier) for line in metadata.requires("torchvision") or []
                   if (r := Requirement(line)).name == "torch"), "")  # fmt: skip
    if not wanted or Requirement(f"torch{wanted}").specifier.contains(torch, prereleases=True):
        return []
    got = f"made for torch{wanted}, this is torch {torch}"
    return [Package("torchvision", got, found, "", False, "pip uninstall torchvision")]
