"""The studies, a folder each. What a study must give stands in :mod:`keras_dnnts.study`."""
