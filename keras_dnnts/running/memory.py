"""What the C library does with memory that has been freed."""

import ctypes
import sys

from keras_dnnts.running.surroundings import is_own_process

# glibc's parameters in <malloc.h>.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
TOP_PAD = 64 * 2**20  # bytes

_library: ctypes.CDLL | None = None  # of a process that keeps freed memory


def keep_freed_memory() -> bool:
    """Let this process keep the memory of large arrays that it frees, and give it to the next ones.

    By default glibc hands arrays of more than 32 MiB back to the system at once, and a training step gets zeroed pages
    for the same maps again and again. Keeping them saves 7 % of a step of the fast recipe on torch, and two thirds of
    JAX's augmentation to 224x224 pixels. It costs memory, through fragmentation: on torch a tenth more for AlexNet
    at that size, where :func:`release_freed_memory` bounds it.

    It holds for as long as the process lives, so also for later runs of a worker.

    Threads that have started go on with memory of their own. JAX's write its results, so there it must come before
    the engine starts; torch's large arrays come from the thread that trains.

    Returns:
        Whether it does: it is a process of this package's alone, whose C library is glibc.
    """
    global _library
    if not is_own_process() or sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    # Of several arenas, all but the first hold at most 64 MiB in a piece, and leave larger arrays to the system.
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1, M_TOP_PAD: TOP_PAD, M_ARENA_MAX: 1}
    kept = all(library.mallopt(parameter, value) for parameter, value in settings.items())
    _library = library if kept else None
    return kept


def release_freed_memory() -> None:
    """Give freed memory back to the system where this process keeps it, which takes a hundredth of a second a GiB.

    Memory that was kept for arrays of certain sizes holds few of other sizes: training and validation in turns, at
    batches of other sizes, would take more and more.
    """
    if _library is not None:
        _library.malloc_trim(ctypes.c_size_t(0))
