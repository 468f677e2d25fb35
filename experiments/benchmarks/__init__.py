"""Timings of this package beside plain PyTorch: ``python -m experiments.benchmarks``."""
