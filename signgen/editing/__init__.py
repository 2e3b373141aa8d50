"""Editing keypoints: clips cut, joined with natural transitions, retimed, mirrored, and parts of them exchanged."""

from signgen.editing.run import EditResult, Span, edit

__all__ = ["EditResult", "Span", "edit"]
