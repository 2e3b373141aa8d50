"""Keypoints, or footage, in; a video of any length out: `render`, or `plan_render` and then `run_plan`."""

from signgen.rendering.plan import RenderPlan, plan_render
from signgen.rendering.run import load_model, render, run_plan
from signgen.rendering.settings import RenderResult, RenderSettings

__all__ = ["RenderPlan", "RenderResult", "RenderSettings", "load_model", "plan_render", "render", "run_plan"]
