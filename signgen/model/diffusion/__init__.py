"""What surrounds the denoiser: parametrisation, guidance, samplers, noise of a frame, losses."""
