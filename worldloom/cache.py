"""A cache bounded by bytes, not by entries; least recently used goes first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np

Arrays = tuple[np.ndarray, ...]


class ByteCache:
    """Least-recently-used cache of read-only numpy arrays, safe to share between threads.

    Args:
        capacity_bytes: Upper bound of what is kept. An entry larger than this is handed out but
            not kept.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Hashable, Arrays] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, load: Callable[[], Arrays]) -> Arrays:
        """Returns the arrays under `key`, calling `load` where they are not here.

        Two threads that miss at the same time may both load; both get the entry that was kept.
        """
        with self._lock:
            if key in self._entries:
                self.hits += 1
                self._entries.move_to_end(key)
                return self._entries[key]
            self.misses += 1
        arrays = tuple(_owned(array) for array in load())
        size = sum(array.nbytes for array in arrays)
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
            if size > self.capacity_bytes:
                return arrays
            while self.used_bytes + size > self.capacity_bytes:
                _, dropped = self._entries.popitem(last=False)
                self.used_bytes -= sum(array.nbytes for array in dropped)
            self._entries[key] = arrays
            self.used_bytes += size
        return arrays


def _owned(array: np.ndarray) -> np.ndarray:
    """Returns a read-only array that keeps no larger buffer alive than it shows."""
    base = array.base
    if isinstance(base, np.ndarray) and base.nbytes > array.nbytes:
        array = array.copy()
    array.setflags(write=False)
    return array
