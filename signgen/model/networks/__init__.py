"""The networks: fusion embedding, conditions, cross-view attention, denoiser, autoencoder, reference weights."""

import logging


def _names_a_part(record: logging.LogRecord) -> bool:
    """diffusers warns at every cast to another dtype of parts that must stay float32, even where there is none."""
    return "should be kept in float32: []" not in record.getMessage()


logging.getLogger("diffusers.models.modeling_utils").addFilter(_names_a_part)
