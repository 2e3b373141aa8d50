"""A cast says something only where there is something to say."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch
from tiny_models import tiny_denoiser


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What diffusers' models log meanwhile."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("diffusers.models.modeling_utils")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_a_cast_warns_only_where_a_part_is_to_stay_float32(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = tiny_denoiser()
    denoiser.to(torch.bfloat16)
    assert said == []
    monkeypatch.setattr(type(denoiser), "_keep_in_fp32_modules", ["unet"])
    denoiser.to(torch.float16)
    assert len(said) == 1
    assert "unet" in said[0]
