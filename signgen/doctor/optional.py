"""What signgen can use and does not need: what each is for, whether it is there, and the commands that get it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from signgen.doctor.commands import install_command


@dataclass(frozen=True)
class OptionalPackage:
    """One of them.

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
    OptionalPackage("gradio", ("gradio",), "the page of signgen app", install_command("app")),
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
    return OptionalPackage(known.name, known.distributions, known.use, known.command, found, missing)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
