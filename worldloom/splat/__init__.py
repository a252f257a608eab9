"""Gaussian splats: rasterised, trained, merged."""
