"""Stage of docs/browser.md: its commands install packages and fetch ONNX Runtime, so they are only looked at."""

from __future__ import annotations

from docs_stage import Stage

STAGE = Stage()
