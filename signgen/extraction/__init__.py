"""Keypoints from video, with mmpose, rtmlib or MediaPipe.

No estimator is a part of signgen; each is an extra that is imported only when it is asked for.
"""

from signgen.extraction.loading import ESTIMATORS, EstimatorSettings
from signgen.extraction.run import Extracted, ExtractResult, ExtractSettings, extract, extract_keypoints

__all__ = [
    "ESTIMATORS",
    "EstimatorSettings",
    "ExtractResult",
    "ExtractSettings",
    "Extracted",
    "extract",
    "extract_keypoints",
]
