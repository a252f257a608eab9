"""The CUDA device of this process."""

import ctypes
import sys


def cuda_available() -> bool:
    """Returns whether this process sees a CUDA device that torch can use.

    The driver is asked first: without one, torch need not be imported, which takes seconds.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return False
    if count.value == 0:
        return False
    import torch

    return torch.cuda.is_available()


def held_gpu_bytes() -> int:
    """Returns the GPU memory that torch holds for this process; 0 where it has not touched a GPU.

    What the allocator keeps for later counts too: other processes cannot have it.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_reserved())
