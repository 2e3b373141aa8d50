"""Solid hands: anatomy fitted to 2-D keypoints and drawn as normals, places on the hand, palm and back.

`HandFitter` fits, `SolidHands` draws; `draw_meshes` draws hands that are known from elsewhere, such as a drawn
signer's (`signgen.synthetic.picture.hand_meshes`).
"""

from __future__ import annotations

from signgen.pose_image.solid.drawing import draw_meshes, exposed, lit
from signgen.pose_image.solid.fitter import MOST_DRAWN, HandFitter, SolidHands, fit_hands, refit_hands

__all__ = ["MOST_DRAWN", "HandFitter", "SolidHands", "draw_meshes", "exposed", "fit_hands", "lit", "refit_hands"]
