"""The whole story of a run, one file an experiment, top to bottom."""
