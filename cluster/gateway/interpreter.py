"""How the process of a gateway runs: set up for short waits and for parts of megabytes."""

import ctypes
import gc
import logging
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
_logger = logging.getLogger(__name__)
_SWITCH_S = 0.001
"""Threads that hash and write let the loop in sooner than after Python's 5 ms."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Numbers of mallopt(3), from glibc's malloc.h."""
_KEPT_BYTES = 256 << 20
_LARGEST_KEPT_BYTES = 32 << 20
_ARENAS = 1


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in an interpreter that waits for nothing long.

    What has been imported by then is taken out of the rounds of the garbage collector: looking
    through those 200,000 objects again and again held all calls up for 80 ms at a time.
    """
    sys.setswitchinterval(_SWITCH_S)
    _keep_memory()
    gc.collect()
    gc.freeze()
    return uvloop.run(work)


def _keep_memory() -> None:
    """Lets malloc keep what it has freed.

    Given back to the kernel, the memory of each part of an upload would come again page by page,
    each cleared: more work than all that the gateway does with the part.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        _logger.info("this C library has no mallopt; uploads cost more")
        return
    for option, value in (
        (_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES),
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
        (_M_ARENA_MAX, _ARENAS),
    ):
        mallopt(option, value)
