"""Networks of spiking neurons: stochastic (GIF) or with a sharp threshold (LIF)."""
