"""Trajectory file formats, one module each; `load_trajectory` finds out which one a file is in."""
