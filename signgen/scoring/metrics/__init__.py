"""Scores of generated video: torchmetrics classes that stream, and the plain functions under them.

Each class has a ``signature``: name, parameters and version of the definition, to be printed with its number. All but
FID are ratios of two sums: ``sums`` gives them, so that the values of clips can be put together again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from signgen.package import on_first_use

if TYPE_CHECKING:
    from signgen.scoring.metrics.faces import EyesSSIM, FaceSSIM, MouthSSIM
    from signgen.scoring.metrics.fid import FID
    from signgen.scoring.metrics.flow import TOF
    from signgen.scoring.metrics.hand_pe import HandPE, HandPEDrive
    from signgen.scoring.metrics.hands import HandSSIM
    from signgen.scoring.metrics.image import MAE, PSNR, SSIM, SSIMDefinition
    from signgen.scoring.metrics.lpips import LPIPS
    from signgen.scoring.metrics.sharpness import FaceSharpness, HandSharpness
    from signgen.scoring.metrics.temporal import (
        BackgroundDeviation,
        Flicker,
        MotionRatio,
        StillFlicker,
        TemporalDifferenceError,
    )
    from signgen.scoring.metrics.wrists import WristDistance

_PUBLIC = {
    "SSIM": ".image",
    "PSNR": ".image",
    "MAE": ".image",
    "SSIMDefinition": ".image",
    "LPIPS": ".lpips",
    "FID": ".fid",
    "HandSSIM": ".hands",
    "HandSharpness": ".sharpness",
    "HandPE": ".hand_pe",
    "HandPEDrive": ".hand_pe",
    "WristDistance": ".wrists",
    "FaceSSIM": ".faces",
    "MouthSSIM": ".faces",
    "EyesSSIM": ".faces",
    "FaceSharpness": ".sharpness",
    "Flicker": ".temporal",
    "MotionRatio": ".temporal",
    "StillFlicker": ".temporal",
    "TemporalDifferenceError": ".temporal",
    "BackgroundDeviation": ".temporal",
    "TOF": ".flow",
}
__all__ = [
    "FID",
    "LPIPS",
    "MAE",
    "PSNR",
    "SSIM",
    "TOF",
    "BackgroundDeviation",
    "EyesSSIM",
    "FaceSSIM",
    "FaceSharpness",
    "Flicker",
    "HandPE",
    "HandPEDrive",
    "HandSSIM",
    "HandSharpness",
    "MotionRatio",
    "MouthSSIM",
    "SSIMDefinition",
    "StillFlicker",
    "TemporalDifferenceError",
    "WristDistance",
]
__getattr__, __dir__ = on_first_use(__name__, _PUBLIC)
