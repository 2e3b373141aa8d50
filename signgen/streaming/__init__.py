"""Keypoints as they come, frame after frame, and frames of video at once."""

from signgen.streaming.stream import Live, LiveFrame, live

__all__ = ["Live", "LiveFrame", "live"]
