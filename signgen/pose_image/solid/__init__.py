"""Solid hands: anatomy fitted to 2-D keypoints and drawn as normals, places on the hand, palm and back.

`HandFitter` fits, `SolidHands` draws; `draw_meshes` draws hands that are known from elsewhere, such as a drawn
signer's (`signgen.synthetic.picture.hand_meshes`).
"""

from __future__ import annotations

from signgen.pose_image.solid.drawing import draw_meshes, lit
from signgen.pose_image.solid.fitter import HandFitter, SolidHands, fit_hands, refit_hands

__all__ = ["HandFitter", "SolidHands", "draw_meshes", "fit_hands", "lit", "refit_hands"]
