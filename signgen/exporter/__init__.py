"""The networks of a window as OpenVINO models: written by `signgen export`, used by renders on CPUs."""

from signgen.exporter.build import export

__all__ = ["export"]
