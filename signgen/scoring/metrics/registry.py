"""Every metric of an evaluation, in the order of tables; a new one is its own file and a line here."""

from __future__ import annotations

from signgen.scoring.metrics.faces import EYES_SSIM, FACE_SSIM, MOUTH_SSIM
from signgen.scoring.metrics.fid import FID_SCORE
from signgen.scoring.metrics.flow import TOF_SCORE
from signgen.scoring.metrics.hand_pe import HAND_PE, HAND_PE_DRIVE
from signgen.scoring.metrics.hands import HAND_SSIM
from signgen.scoring.metrics.image import PSNR_SCORE, SSIM_WANG, SSIM_WIN51
from signgen.scoring.metrics.lpips import LPIPS_SCORE
from signgen.scoring.metrics.sharpness import FACE_SHARPNESS, HAND_SHARPNESS
from signgen.scoring.metrics.stlpips import STLPIPS_SCORE
from signgen.scoring.metrics.temporal import (
    BACKGROUND_DEVIATION,
    FLICKER,
    MOTION_RATIO,
    STILL_FLICKER,
    TEMPORAL_DIFFERENCE_ERROR,
)
from signgen.scoring.metrics.wrists import WRIST_PX
from signgen.scoring.recogniser.recognition import RECOGNITION_RETAINED, WER_GENERATED, WER_TRUE

_IN_ORDER = (
    *(SSIM_WIN51, SSIM_WANG, PSNR_SCORE, LPIPS_SCORE, STLPIPS_SCORE, FID_SCORE),
    *(HAND_SSIM, HAND_SHARPNESS, HAND_PE, HAND_PE_DRIVE, WRIST_PX),
    *(FACE_SSIM, MOUTH_SSIM, EYES_SSIM, FACE_SHARPNESS),
    *(TOF_SCORE, TEMPORAL_DIFFERENCE_ERROR, FLICKER, MOTION_RATIO, STILL_FLICKER, BACKGROUND_DEVIATION),
    *(WER_TRUE, WER_GENERATED, RECOGNITION_RETAINED),
)
METRICS = {score.name: score for score in _IN_ORDER}
