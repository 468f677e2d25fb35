"""Trained models for programs that know neither this package nor Keras."""
