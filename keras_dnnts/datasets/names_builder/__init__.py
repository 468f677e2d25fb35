"""The names files for tensorflow-datasets, in a folder of their own because it looks for ``checksums.tsv`` there."""
