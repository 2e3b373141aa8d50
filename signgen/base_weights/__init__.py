"""Weights that others have published and that training at the papers' scale starts from: where they are, what they are.

They come from a local folder or from a hub id. Nothing is fetched unless the caller says so.
"""

from signgen.base_weights.catalogue import CATALOGUE, BaseWeights
from signgen.base_weights.loading import load_autoencoder, load_clip, load_image_encoder, start_unet
from signgen.base_weights.places import find, find_here

__all__ = [
    "CATALOGUE",
    "BaseWeights",
    "find",
    "find_here",
    "load_autoencoder",
    "load_clip",
    "load_image_encoder",
    "start_unet",
]
