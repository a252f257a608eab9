"""Turns: of what weighs much, one is taken after the other, so that what weighs little gets in."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Turns:
    """Gives turns in the order in which they were asked for.

    A turn ends by itself after a while. Who sends drop by drop burdens nobody in the meantime, and
    must not keep all others waiting either.

    Args:
        at_a_time: How many have a turn at the same time.
        longest_s: After how many seconds the next one comes in any case.
    """

    def __init__(self, at_a_time: int, longest_s: float) -> None:
        self._free = asyncio.Semaphore(at_a_time)
        self._longest_s = longest_s

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Waits for a turn, and holds it for as long as it lasts."""
        await self._free.acquire()
        is_over = False

        def end() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._free.release()

        timer = asyncio.get_running_loop().call_later(self._longest_s, end)
        try:
            yield
        finally:
            timer.cancel()
            end()
