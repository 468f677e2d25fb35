"""The torch engine's side of the contract in :mod:`keras_dnnts.backend`."""
