"""Where the files that come with the package lie."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
WEIGHTS = PACKAGE / "weights"  # a folder for each model that signgen brings
PRESETS = PACKAGE / "presets"  # configurations of trainings
EXAMPLES = PACKAGE / "assets" / "examples"  # keypoint files to try things with
SIGNERS = PACKAGE / "assets" / "signers"  # a picture and its keypoints for each built-in signer
