"""Sweeps: one experiment under many settings, compared on validation data; each run is an ordinary run."""
