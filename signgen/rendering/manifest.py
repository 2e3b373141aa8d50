"""What lies beside every rendered video: how it was made, and that it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from signgen import __version__
from signgen.errors import NotWritable
from signgen.package import versions
from signgen.video.writing import VIDEO_SUFFIXES

NOTICE = (
    "This is generated video: signgen synthesised every frame from keypoints and one picture. "
    "It is no recording of the person shown."
)
KIND = "signgen render manifest"
PACKAGES = ("torch", "diffusers", "numpy", "pillow", "imageio-ffmpeg", "av", "openvino")


def container_metadata(model: str, source: str, seed: int) -> dict[str, str]:
    """The metadata of the video container."""
    words = f"signgen {__version__}, model {model}, source {Path(source).name}, seed {seed}"
    return {"title": "Generated sign-language video", "comment": NOTICE, "description": _encoded(words).decode("utf-8")}


def build_manifest(result: dict[str, Any], weights_sha256: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """The manifest: the result's own keys, and what is needed to make the same video again."""
    return {
        "kind": KIND,
        "notice": NOTICE,
        "generated": True,
        **result,
        "versions": versions(PACKAGES),
        "weights_sha256": weights_sha256,
        "configuration": configuration,
    }


def manifest_path(output: Path, inputs: list[Path]) -> Path:
    """``OUT.json`` beside the output; ``OUT.manifest.json`` where ``OUT.json`` is somebody else's file.

    A clip's keypoints often lie beside its video under the same stem, as does the manifest of the same video in another
    format: they must never be overwritten.

    Raises:
        NotWritable: both are somebody else's.
    """
    taken, names = {path.absolute() for path in inputs}, manifest_names(output)
    for path in names:
        if path.absolute() not in taken and (not path.exists() or _is_ours(path, output)):
            return path
    beside = " and ".join(path.name for path in names)
    raise NotWritable(output, f"its manifest has no place: {beside} are other files", "give it another name")


def manifest_names(output: Path) -> tuple[Path, Path]:
    """Where an output's manifest may lie."""
    name = output.stem if output.suffix.lower() in VIDEO_SUFFIXES else output.name  # a folder's dots begin no suffix
    return output.with_name(f"{name}.json"), output.with_name(f"{name}.manifest.json")


def is_manifest(content: Any) -> bool:
    """True if decoded JSON is what a render left."""
    return isinstance(content, dict) and content.get("kind") == KIND


def is_manifest_of(content: Any, output: Path) -> bool:
    """True if decoded JSON is what the render of a file or folder of this name left."""
    videos = (content.get("output"), content.get("compare")) if is_manifest(content) else ()
    return any(isinstance(video, str) and Path(video).name == output.name for video in videos)


def _is_ours(path: Path, output: Path) -> bool:
    """True if the file is a manifest that an earlier render of this output left."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return is_manifest_of(content, output)


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Writes JSON; plain numbers and strings only."""
    path.write_bytes(_encoded(json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"))


def _encoded(text: str) -> bytes:
    """UTF-8; what file names that are no Unicode hold becomes \\udc.. escapes, which are JSON's own."""
    return text.encode("utf-8", "backslashreplace")
