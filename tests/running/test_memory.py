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


# Memory in MiB with 480 MiB of arrays, once these are freed, and once freed memory is released.
MEASURE = """
from pathlib import Path
import numpy as np
from keras_dnnts.running import surroundings
from keras_dnnts.running.memory import keep_freed_memory, release_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

surroundings._own_process = True
assert keep_freed_memory()
arrays = [np.ones(6 * 2**20) for _ in range(10)]
last = np.ones(10)
print(resident())
del arrays
print(resident())
release_freed_memory()
print(resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc")
def test_freed_memory_is_kept_until_it_is_released():
    taken, kept, released = map(int, subprocess.check_output([sys.executable, "-c", MEASURE], text=True).split())
    assert taken > 480
    assert kept > taken - 100
    assert released < taken - 400
