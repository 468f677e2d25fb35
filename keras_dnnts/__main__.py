"""``python -m keras_dnnts``."""

from keras_dnnts.cli import main

if __name__ == "__main__":
    main()
