import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from worldloom.cache import Arrays, ByteCache


def zeros(size_bytes: int) -> Arrays:
    return (np.zeros(size_bytes, np.uint8),)


def refuse() -> Arrays:
    pytest.fail("the entry must be in the cache")


def test_hit_returns_the_same_read_only_arrays() -> None:
    cache = ByteCache(100)
    first = cache.get("a", lambda: (np.arange(10, dtype=np.uint8), np.ones(3, np.float32)))
    again = cache.get("a", refuse)
    assert again is first
    assert (cache.hits, cache.misses, cache.used_bytes) == (1, 1, 22)
    with pytest.raises(ValueError, match="read-only"):
        again[0][0] = 7


def test_the_least_recently_used_entry_goes_first() -> None:
    cache = ByteCache(30)
    for key in "abc":
        cache.get(key, lambda: zeros(10))
    cache.get("a", refuse)
    cache.get("d", lambda: zeros(10))
    for key in "cad":
        cache.get(key, refuse)
    loaded: list[str] = []
    cache.get("b", lambda: loaded.append("b") or zeros(10))
    assert loaded == ["b"]


def test_one_large_entry_drops_as_many_as_it_needs() -> None:
    cache = ByteCache(30)
    for key in "abc":
        cache.get(key, lambda: zeros(10))
    cache.get("d", lambda: zeros(15))
    assert cache.used_bytes == 25
    cache.get("c", refuse)
    cache.get("d", refuse)


def test_an_entry_above_the_capacity_is_handed_out_and_drops_nothing() -> None:
    cache = ByteCache(30)
    cache.get("small", lambda: zeros(30))
    (large,) = cache.get("large", lambda: zeros(31))
    assert large.nbytes == 31
    assert not large.flags.writeable
    assert cache.used_bytes == 30
    cache.get("small", refuse)


def test_capacity_0_keeps_nothing() -> None:
    cache = ByteCache(0)
    for _ in range(2):
        cache.get("a", lambda: zeros(1))
    assert (cache.hits, cache.misses, cache.used_bytes) == (0, 2, 0)


def test_a_view_does_not_keep_its_large_base_alive() -> None:
    cache = ByteCache(100)
    base = np.arange(100_000, dtype=np.uint8)
    (kept,) = cache.get("a", lambda: (base[5:15],))
    assert kept.base is None
    assert kept.tolist() == list(range(5, 15))
    assert cache.used_bytes == 10
    base[5] = 99
    assert cache.get("a", refuse)[0][0] == 5


def test_a_failing_load_leaves_no_trace() -> None:
    cache = ByteCache(100)

    def fail() -> Arrays:
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        cache.get("a", fail)
    cache.get("a", lambda: zeros(5))
    assert cache.used_bytes == 5


def test_threads_that_load_at_the_same_time_share_one_entry() -> None:
    cache = ByteCache(100)
    both_loading = threading.Barrier(2, timeout=10)

    def load() -> Arrays:
        both_loading.wait()
        return zeros(40)

    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(cache.get, "a", load) for _ in range(2))
        assert first.result() is second.result()
    assert (cache.misses, cache.used_bytes) == (2, 40)


def test_the_bound_holds_and_values_are_right_under_many_threads() -> None:
    cache = ByteCache(1_000)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(300):
            key = int(rng.integers(1, 40))
            (array,) = cache.get(key, lambda key=key: (np.full(10 * key, key, np.uint8),))
            assert array.size == 10 * key
            assert (array == key).all()
            assert cache.used_bytes <= cache.capacity_bytes

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert cache.hits + cache.misses == 8 * 300
    assert cache.hits > 0
    kept = sum(arrays[0].nbytes for arrays in cache._entries.values())
    assert kept == cache.used_bytes <= 1_000
