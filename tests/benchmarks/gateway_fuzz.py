"""Malformed requests against a gateway: it stays up, and every answer has the right kind of code.

python -m tests.benchmarks.gateway_fuzz [--requests 20000] [--seed 0]
"""

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from typing import Any

import grpc
import grpc.aio

from tests.calls import MODULES

ALLOWED = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "DATA_LOSS"}
ALLOWED |= {"RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "ALREADY_EXISTS"}
IN_FLIGHT = 32
_F = "f" * 28
STRANGE = (
    *("", "/", "..", "a" * 5000, "assets/", "assets/../x", "\x00", "💥"),
    *(f"scenes/{_F}", f"assets/{_F}", f"uploads/{_F}", f"reconstructionJobs/{_F}"),
)


def methods() -> list[Any]:
    """All methods of the contract."""
    return [
        method
        for module in MODULES
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


def filled(kind: Any, dice: random.Random, depth: int = 0) -> Any:
    """A message with strange values in some of its fields."""
    message = kind._concrete_class()
    for field in kind.fields:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if dice.random() < 0.4 or is_map:
            continue
        if field.message_type is not None:
            if depth < 4:
                inner = filled(field.message_type, dice, depth + 1)
                target = getattr(message, field.name)
                target.append(inner) if field.is_repeated else target.CopyFrom(inner)
            continue
        value: Any = {
            1: dice.choice((0.0, -1.0, float("nan"), float("inf"), 1e300)),
            3: dice.choice((0, -1, 2**63 - 1, -(2**63), 5)),
            5: dice.choice((0, -1, 2**31 - 1, 7)),
            7: dice.getrandbits(32),
            8: dice.random() < 0.5,
            9: dice.choice(STRANGE),
            12: dice.randbytes(dice.choice((0, 1, 32, 5000))),
            14: dice.choice((0, 1, 99, -5)),
        }[field.type]
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


def malformed(method: Any, dice: random.Random) -> bytes:
    """The bytes of one bad request."""
    choice = dice.random()
    if choice < 0.25:
        return dice.randbytes(dice.randrange(200))
    data = filled(method.input_type, dice).SerializeToString()
    if choice < 0.5:
        return data
    if choice < 0.75:
        return data[: dice.randrange(len(data) + 1)] + dice.randbytes(dice.randrange(8))
    if choice < 0.752:
        return dice.randbytes(6 << 20)
    broken = bytearray(data)
    for _ in range(3):
        if broken:
            broken[dice.randrange(len(broken))] = dice.randrange(256)
    return bytes(broken)


async def send(channel: grpc.aio.Channel, method: Any, data: bytes, who: Any) -> str:
    """Sends a request and returns the code."""
    name = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.server_streaming:
            call = channel.unary_stream(name)(data, metadata=who, timeout=60)
            async for _ in call:
                break
            call.cancel()
        else:
            await channel.unary_unary(name)(data, metadata=who, timeout=60)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def fuzz(port: int, token: str, requests: int, seed: int) -> Counter[tuple[str, str]]:
    """Sends all requests and counts codes by method."""
    dice = random.Random(seed)
    counts: Counter[tuple[str, str]] = Counter()
    right = (("authorization", f"Bearer {token}"),)
    options = [("grpc.max_send_message_length", 64 << 20)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        plans = [
            (method, malformed(method, dice), right if dice.random() < 0.95 else ())
            for method in dice.choices(methods(), k=requests)
        ]
        waiting = iter(plans)

        async def work() -> None:
            for method, data, who in waiting:
                counts[method.name, await send(channel, method, data, who)] += 1

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert await health(b"") == b"\x08\x01", "the gateway does not serve any more"
    return counts


def run(requests: int, seed: int) -> Counter[str]:
    """Fuzzes a gateway in a process of its own and returns the codes that came."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "tests.benchmarks.gateway_server", folder]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            counts = asyncio.run(fuzz(told["port"], told["token"], requests, seed))
            assert server.poll() is None, "the gateway ended"
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
    wrong = {key: count for key, count in counts.items() if key[1] not in ALLOWED}
    if wrong:
        sys.exit(f"codes that no malformed request may get: {wrong}")
    codes: Counter[str] = Counter()
    for (_, code), count in counts.items():
        codes[code] += count
    return codes


def main() -> None:
    """Runs the fuzzer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start_s = time.monotonic()
    codes = run(options.requests, options.seed)
    print(f"{sum(codes.values())} requests in {time.monotonic() - start_s:.1f} s")
    for code, count in codes.most_common():
        print(f"{code:20} {count}")


if __name__ == "__main__":
    main()
