"""Memory that is freed and taken again."""

import platform
import subprocess
import sys

import pytest

# Counts the page faults of taking and filling 48 MiB five times, after one time that does not count.
COUNT = """
import resource
import numpy as np
from keras_dnnts.running import surroundings
from keras_dnnts.running.memory import keep_freed_memory

surroundings._own_process = {own}
assert keep_freed_memory() is {own}
np.ones(6 * 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(6 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc")
def test_freed_memory_is_taken_again_without_page_faults():
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", COUNT.format(own=own)], text=True)) for own in (True, False)
    )
    assert kept < 1000
    assert given_back > 5 * kept
