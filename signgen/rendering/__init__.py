"""Keypoints in, a video of any length out: `render`."""

from signgen.rendering.run import render, render_with
from signgen.rendering.settings import RenderResult, RenderSettings

__all__ = ["RenderResult", "RenderSettings", "render", "render_with"]
