"""Turns of large requests."""

import asyncio

import pytest

from cluster.gateway.turns import Turns


def test_one_after_the_other_in_the_order_of_asking():
    async def play() -> list[str]:
        turns, seen = Turns(1, longest_s=60), list[str]()

        async def take(name: str) -> None:
            async with turns.turn():
                seen.append(f"{name} begins")
                await asyncio.sleep(0.001)
                seen.append(f"{name} ends")

        await asyncio.gather(take("a"), take("b"), take("c"))
        return seen

    assert asyncio.run(play()) == [
        f"{name} {what}" for name in "abc" for what in ("begins", "ends")
    ]


def test_who_takes_long_keeps_nobody_waiting():
    async def play() -> int:
        turns, ended = Turns(1, longest_s=0.01), asyncio.Event()

        async def dawdle() -> None:
            async with turns.turn():
                await ended.wait()

        slow = [asyncio.create_task(dawdle()) for _ in range(3)]
        await asyncio.sleep(0)
        async with turns.turn():
            ended.set()
        await asyncio.gather(*slow)
        # All of them gave back one turn each, none two.
        count = 0

        async def hold() -> None:
            nonlocal count
            async with turns.turn():
                count += 1
                await asyncio.Event().wait()

        turns._longest_s = 60.0  # pyright: ignore[reportPrivateUsage]
        held = [asyncio.create_task(hold()) for _ in range(3)]
        await asyncio.sleep(0.01)
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        return count

    assert asyncio.run(play()) == 1


def test_a_turn_ends_with_what_fails_or_is_given_up():
    async def play() -> None:
        turns = Turns(1, longest_s=60)
        with pytest.raises(ValueError, match="broken"):
            async with turns.turn():
                raise ValueError("broken")

        async def wait() -> None:
            async with turns.turn():
                pass

        async with turns.turn():
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(wait(), 5)

    asyncio.run(play())
