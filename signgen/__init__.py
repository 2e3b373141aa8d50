"""signgen: keypoint sequences in, photo-real sign-language video out, and scores for it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.2.0.dev0"

# Public names and the rooms they live in; imported on first use, so that `signgen --help` stays instant.
_PUBLIC = {
    "Keypoints": "signgen.keypoints",
    "read_keypoints": "signgen.keypoints",
    "write_keypoints": "signgen.keypoints",
    "draw_pose": "signgen.pose_image",
    "SignGenPipeline": "signgen.model",
    "load_source": "signgen.rendering.source",
    "render": "signgen.rendering",
    "InputError": "signgen.errors",
    "RunError": "signgen.errors",
}
__all__ = [*sorted(_PUBLIC), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'signgen' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
