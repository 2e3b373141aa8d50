"""signgen: keypoint sequences in, photo-real sign-language video out, and scores for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signgen.package import on_first_use

if TYPE_CHECKING:  # the real types, for editors and type checkers
    from signgen.augmentation import augment
    from signgen.editing import edit
    from signgen.errors import InputError, RunError
    from signgen.exporter import export
    from signgen.extraction import extract
    from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
    from signgen.model.pipeline import SignGenPipeline
    from signgen.personal import personalise
    from signgen.pose_image import draw_pose
    from signgen.rendering import render
    from signgen.rendering.source import load_source
    from signgen.scoring import evaluate
    from signgen.streaming import live
    from signgen.training import train

__version__ = "0.2.0.dev0"

__all__ = [
    "InputError",
    "Keypoints",
    "RunError",
    "SignGenPipeline",
    "__version__",
    "augment",
    "draw_pose",
    "edit",
    "evaluate",
    "export",
    "extract",
    "live",
    "load_source",
    "personalise",
    "read_keypoints",
    "render",
    "train",
    "write_keypoints",
]

# Where each public name is defined. It is imported on first use, so that `signgen --help` answers at once.
_PLACES = {
    "InputError": "signgen.errors",
    "Keypoints": "signgen.keypoints",
    "RunError": "signgen.errors",
    "SignGenPipeline": "signgen.model.pipeline",
    "augment": "signgen.augmentation",
    "draw_pose": "signgen.pose_image",
    "edit": "signgen.editing",
    "evaluate": "signgen.scoring",
    "export": "signgen.exporter",
    "extract": "signgen.extraction",
    "live": "signgen.streaming",
    "load_source": "signgen.rendering.source",
    "personalise": "signgen.personal",
    "read_keypoints": "signgen.keypoints",
    "render": "signgen.rendering",
    "train": "signgen.training",
    "write_keypoints": "signgen.keypoints",
}
__getattr__, __dir__ = on_first_use(__name__, _PLACES)
