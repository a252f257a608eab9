"""The CUDA device of this process."""

import ctypes


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
