"""The networks: fusion embedding, conditions, cross-view attention, denoiser, autoencoder, reference weights."""
