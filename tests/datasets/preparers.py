"""Processes that prepare data at the same moment: ``python -m tests.datasets.preparers fetched|images|killed SOURCE``.

Each waits for a folder on stdin, prepares the data of SOURCE in it and answers with what it then has, again and again.
"""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path


class Preparer:
    """A process that has imported what it needs and waits."""

    def __init__(self, kind, source):
        command = [sys.executable, "-m", "tests.datasets.preparers", kind, str(source)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def start(self, folder):
        print(folder, file=self.process.stdin, flush=True)

    def answer(self):
        return self.process.stdout.readline().rstrip("\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def fetch_numbers(url):
    from keras_dnnts.datasets.fetch import prepared_builder
    from tests.datasets.test_fetch import FetchedNumbers, numbers, pinned

    FetchedNumbers.url_infos = pinned(url)
    return lambda: numbers(prepared_builder(FetchedNumbers, url))


def die_while_preparing(url):
    from tests.datasets.test_fetch import FetchedNumbers

    def die(self, file):
        yield 0, {"number": 4}
        os.kill(os.getpid(), signal.SIGKILL)

    FetchedNumbers._generate_examples = die
    return fetch_numbers(url)


def read_images(folder):
    from keras_dnnts.datasets.images import load_image_dataset

    return lambda: hashlib.sha256(load_image_dataset(data_dir=Path(folder)).train_images.tobytes()).hexdigest()


if __name__ == "__main__":
    kinds = {"fetched": fetch_numbers, "killed": die_while_preparing, "images": read_images}
    prepare = kinds[sys.argv[1]](sys.argv[2])
    print("ready", flush=True)
    for line in sys.stdin:
        os.environ["TFDS_DATA_DIR"] = os.environ["KERAS_DNNTS_CACHE"] = line.rstrip("\n")
        print(prepare(), flush=True)
