"""The networks of a window for other programs, written by `signgen export`: OpenVINO models, which renders on CPUs use,
plain ONNX graphs, and a page that renders in a browser."""

from signgen.exporter.build import export
from signgen.exporter.onnx_graphs import export_onnx
from signgen.exporter.web import export_web

__all__ = ["export", "export_onnx", "export_web"]
