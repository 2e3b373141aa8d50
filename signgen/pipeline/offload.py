"""`enable_model_cpu_offload`: one part of the pipeline at a time on the accelerator.

diffusers moves a part there when its ``forward`` is called. This pipeline calls other methods as well (the source is
encoded, poses and frames are), so it says itself which parts it needs next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from signgen.pipeline.pipeline import SignGenPipeline


def target(pipeline: SignGenPipeline) -> torch.device | None:
    """Where parts are computed while the pipeline is offloaded; None: it is not."""
    return getattr(pipeline, "_offload_device", None) if getattr(pipeline, "_all_hooks", None) else None


def bring(pipeline: SignGenPipeline, *names: str) -> None:
    """Moves these parts to the accelerator and all others away from it; nothing unless the pipeline is offloaded."""
    device = target(pipeline)
    if device is None:
        return
    wanted = [module for name in names if (module := getattr(pipeline, name)) is not None]
    for hook in pipeline._all_hooks:
        if all(hook.model is not module for module in wanted):
            hook.offload()
    for module in wanted:
        module.to(device)
