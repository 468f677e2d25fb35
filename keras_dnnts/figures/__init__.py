"""Draws saved results; one file an experiment, style and shared plots apart."""
