"""The backbone of an estimator, computed by OpenVINO instead of torch, on a CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from signgen.errors import missing_extra
from signgen.export.places import has_openvino


class OpenVinoBackbone(nn.Module):
    """Takes the place of a backbone whose input is one batch of images and whose output is a tuple of feature maps.

    Args:
        backbone: trained, on the CPU.
        size: (height, width) of its input.
        precision: what is computed in: ``f32`` or ``bf16``.

    Attributes:
        name: of engine, version and precision, for signatures.

    Raises:
        InputError: OpenVINO is not installed.
    """

    def __init__(self, backbone: nn.Module, size: tuple[int, int], precision: str) -> None:
        super().__init__()
        if not has_openvino():
            raise missing_extra("openvino", "cpu")
        import openvino

        backbone.eval()  # in a line of its own: mmpose's backbones return None here
        with torch.no_grad():
            graph = openvino.convert_model(backbone, example_input=(torch.zeros(1, 3, *size),))
        graph.reshape([-1, 3, *size])
        settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        settings["INFERENCE_NUM_THREADS"] = torch.get_num_threads()
        self._request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
        self.name = f"openvino-{openvino.__version__.split('-')[0]}-{precision}"

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """float32 (N, 3, H, W) -> feature maps, each (N, C, h, w)."""
        results = self._request.infer([np.ascontiguousarray(images.float().numpy())])
        return tuple(torch.from_numpy(np.array(value)) for value in results.values())
