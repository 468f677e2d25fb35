"""What the C library does with memory that has been freed."""

import ctypes
import sys

from keras_dnnts.running.surroundings import is_own_process

# glibc's parameters in <malloc.h>.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
TOP_PAD = 64 * 2**20  # bytes


def keep_freed_memory() -> bool:
    """Let this process keep the memory of large arrays that it frees, and give it to the next ones.

    By default glibc hands arrays of more than 32 MiB back to the system at once, and a training step gets zeroed pages
    for the same maps again and again. Keeping them saves 7 % of a step of the fast recipe on torch, and two thirds of
    JAX's augmentation to 224x224 pixels. It costs memory, which lies scattered then: on torch a tenth more for AlexNet
    at that size.

    Threads that have started go on with memory of their own. JAX's write its results, so there it must come before
    the engine starts; torch's large arrays come from the thread that trains.

    Returns:
        Whether it does: it is a process of this package's alone, whose C library is glibc.
    """
    if not is_own_process() or sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    # Of several arenas, all but the first hold at most 64 MiB in a piece, and leave larger arrays to the system.
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1, M_TOP_PAD: TOP_PAD, M_ARENA_MAX: 1}
    return all(library.mallopt(parameter, value) for parameter, value in settings.items())
