"""Keep freed memory in the process, so that the next array of that size does not page-fault.

The GNU C library gives large freed blocks back to the system, and every page of the next one is
then mapped anew when it is first touched: on a virtual machine that can cost more than the
arithmetic. What counts as large adapts: it is the size of the largest block freed so far, at most
32 MiB (mallopt(3), M_MMAP_THRESHOLD). So one block of almost that size is asked for, never touched,
hence without cost, and freed. Other allocators take no notice.
"""

import ctypes

BLOCK = 2**25 - 2**16  # a little less than 32 MiB, bookkeeping included


def keep_freed_memory() -> None:
    """Have blocks up to 32 MiB reused instead of returned; at most 64 MiB are held free."""
    try:
        library = ctypes.CDLL(None)
        library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
        library.free.restype, library.free.argtypes = None, (ctypes.c_void_p,)
    except (TypeError, OSError, AttributeError):  # not a POSIX system
        return
    library.free(library.malloc(BLOCK))
