"""docs/train-phoenix14t.md: the doctor is asked about a preset; trainings are only read."""

from __future__ import annotations

from docs_stage import Stage

STAGE = Stage(prepare=lambda folder: None)
