"""The gateway under load on loopback: watchers, uploads and calls at the same time.

    python -m tests.benchmarks.gateway_load [--seconds 60] [--ramp 6] [--gate]

Client and gateway are processes of the same machine, so both take part of its cores. The clients
are started before the clock is; within the ramp they come one after the other, and from its end on
it is counted. With `--ramp 0` all of them come in one moment. GetJob is called in an open loop: the
time of a call counts from the moment that it was due, whatever held it up, the client included.
"""

import argparse
import asyncio
import gc
import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
import grpc.aio
import numpy as np
import psutil

from cluster.rpc import (
    asset_service_pb2,
    asset_service_pb2_grpc,
    reconstruction_service_pb2,
    reconstruction_service_pb2_grpc,
)

JOBS = 10
PARTS = ("watch", "upload", "get")
PART_BYTES = 4 << 20
FILE_PARTS = 16
_LATE_S = 10.0
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
"""The clients work for the kernel as little as they can: they share its cores with the gateway."""


@dataclass
class Tally:
    """What was counted."""

    seconds: list[float] = field(default_factory=list[float])
    events: int = 0
    gaps: int = 0
    bytes: int = 0
    errors: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Times:
    """When the clients come, when it begins to count, and when they stop.

    In seconds of the monotonic clock.
    """

    start_s: float
    count_s: float
    end_s: float

    async def come(self) -> None:
        """Waits for a moment of the ramp, each for its own."""
        await asyncio.sleep(random.random() * (self.count_s - self.start_s))

    def counts(self, moment_s: float) -> bool:
        """Returns whether what is due at a moment counts."""
        return self.count_s <= moment_s < self.end_s


class Load:
    """One process of clients.

    Args:
        address: Of the gateway.
        token: Of the caller.
    """

    def __init__(self, address: str, token: str) -> None:
        options = [
            ("grpc.max_send_message_length", 16 << 20),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self.channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(4)]
        self.who = (("authorization", f"Bearer {token}"),)
        self.tally = Tally()
        self.jobs: list[Any] = [
            reconstruction_service_pb2_grpc.ReconstructionServiceStub(channel)
            for channel in self.channels
        ]
        self.data = random.Random(1).randbytes(PART_BYTES)
        self.crc32c = google_crc32c.value(self.data)
        whole = hashlib.sha256()
        for _ in range(FILE_PARTS):
            whole.update(self.data)
        self.sha256 = whole.digest()

    async def watch(self, name: str, times: Times) -> None:
        """Follows a job and counts events, and those that are missing between."""
        await times.come()
        request = reconstruction_service_pb2.WatchReconstructionJobRequest(name=name)
        call = self.jobs[0].WatchReconstructionJob(request, metadata=self.who)
        last = 0
        with suppress(asyncio.CancelledError):
            async for message in call:
                self.tally.gaps += message.event.sequence != last + 1
                last = message.event.sequence
                now_s = time.monotonic()
                self.tally.events += times.counts(now_s)
                if now_s > times.end_s:
                    break
        call.cancel()

    async def upload(self, n: int, times: Times, rate: float) -> None:
        """Uploads files one after the other, with their checksums, and deletes them.

        The data of a part are in the message once and for all: the load has to be made on the
        cores that the gateway runs on.

        Args:
            n: Which of the uploads.
            times: When to come and when to stop.
            rate: Bytes a second; infinite for as fast as it goes.
        """
        stub: Any = asset_service_pb2_grpc.AssetServiceStub(self.channels[n % 4])
        send: Any = self.channels[n % 4].unary_unary("/worldloom.v1.AssetService/UploadPart")
        content = asset_service_pb2.UploadPartRequest(
            data=self.data, crc32c=self.crc32c
        ).SerializeToString()
        await times.come()
        due_s = time.monotonic() + random.random() * PART_BYTES / rate
        while time.monotonic() < times.end_s:
            start = asset_service_pb2.StartUploadRequest(
                display_name="a.bin", size_bytes=PART_BYTES * FILE_PARTS
            )
            upload = await stub.StartUpload(start, metadata=self.who)
            for part in range(FILE_PARTS):
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                due_s += PART_BYTES / rate
                place = asset_service_pb2.UploadPartRequest(
                    name=upload.name, offset_bytes=part * PART_BYTES
                )
                # Messages that follow one another are one message.
                await send(place.SerializeToString() + content, metadata=self.who)
                self.tally.bytes += times.counts(time.monotonic()) * PART_BYTES
            commit = asset_service_pb2.CommitUploadRequest(name=upload.name, sha256=self.sha256)
            asset = await stub.CommitUpload(commit, metadata=self.who)
            delete = asset_service_pb2.DeleteAssetRequest(name=asset.name)
            await stub.DeleteAsset(delete, metadata=self.who)

    async def get(self, names: list[str], rate: float, times: Times) -> None:
        """Calls GetJob at a rate, whether the calls before have come back or not."""
        tasks: list[asyncio.Task[None]] = []
        count = 0
        while (now_s := time.monotonic()) < times.end_s:
            due_s = times.start_s + count / rate
            if now_s < due_s:
                await asyncio.sleep(due_s - now_s)
            call = self._get(random.choice(names), count, due_s, times.counts(due_s))
            tasks.append(asyncio.create_task(call))
            count += 1
        _, late = await asyncio.wait(tasks, timeout=_LATE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _get(self, name: str, n: int, due_s: float, counts: bool) -> None:
        """Calls once; what fails or does not come back is an error, within the ramp too."""
        request = reconstruction_service_pb2.GetReconstructionJobRequest(name=name)
        try:
            await self.jobs[2 + n % 2].GetReconstructionJob(request, metadata=self.who, timeout=30)
        except grpc.aio.AioRpcError as error:
            self.tally.errors.append(f"GetJob {error.code().name}")
        except asyncio.CancelledError:
            self.tally.errors.append("GetJob did not come back")
            raise
        finally:
            if counts:
                self.tally.seconds.append(time.monotonic() - due_s)

    async def run(self, part: str, names: list[str], options: argparse.Namespace) -> Tally:
        """Makes one kind of load."""
        now_s = time.monotonic()
        count_s = now_s + options.ramp
        times = Times(now_s, count_s, count_s + options.seconds)
        rate = options.upload_rate * 1e6 / max(1, options.uploads) or math.inf
        kinds = {
            "watch": [self.watch(names[n % JOBS], times) for n in range(options.watchers)],
            "upload": [self.upload(n, times, rate) for n in range(options.uploads)],
            "get": [self.get(names, options.rate, times)],
        }
        for kind, work in kinds.items():
            if kind != part:
                for item in work:
                    item.close()
        done = await asyncio.gather(*kinds[part], return_exceptions=True)
        self.tally.errors += [
            f"{part} {item.code().name if isinstance(item, grpc.aio.AioRpcError) else item!r}"
            for item in done
            if isinstance(item, BaseException)
        ]
        for channel in self.channels:
            await channel.close()
        return self.tally


async def create_jobs(address: str, token: str) -> list[str]:
    """Makes the jobs that are watched."""
    who = (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(address) as channel:
        assets: Any = asset_service_pb2_grpc.AssetServiceStub(channel)
        start = asset_service_pb2.StartUploadRequest(display_name="a.mp4", size_bytes=1)
        upload = await assets.StartUpload(start, metadata=who)
        request = asset_service_pb2.UploadPartRequest(
            name=upload.name, data=b"a", crc32c=google_crc32c.value(b"a")
        )
        await assets.UploadPart(request, metadata=who)
        commit = asset_service_pb2.CommitUploadRequest(
            name=upload.name, sha256=hashlib.sha256(b"a").digest()
        )
        asset = await assets.CommitUpload(commit, metadata=who)
        jobs: Any = reconstruction_service_pb2_grpc.ReconstructionServiceStub(channel)
        source = reconstruction_service_pb2.ReconstructionInput(media_asset=asset.name)
        job = reconstruction_service_pb2.ReconstructionJob(inputs=[source])
        create = reconstruction_service_pb2.CreateReconstructionJobRequest(reconstruction_job=job)
        made = [await jobs.CreateReconstructionJob(create, metadata=who) for _ in range(JOBS)]
        return [item.name for item in made]


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Runs all kinds of load at once against a gateway and returns what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "tests.benchmarks.gateway_server", folder]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            address = f"127.0.0.1:{told['port']}"
            names = asyncio.run(create_jobs(address, told["token"]))
            job = json.dumps({"address": address, "token": told["token"], "names": names})
            parts = started(job)
            pids = [child.pid for child in parts.values()]
            for child in parts.values():
                tell(child, "go")
            time.sleep(options.ramp)
            before_s = [machine_cpu_s(), *(cpu_s(pid) for pid in (server.pid, *pids))]
            memory_mib = watched_memory(server.pid, options.seconds)
            after_s = [machine_cpu_s(), *(cpu_s(pid) for pid in (server.pid, *pids))]
            said = {part: json.loads(child.communicate()[0]) for part, child in parts.items()}
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
    used_s = np.subtract(after_s, before_s)
    seconds = np.array(said["get"]["seconds"]) * 1000
    third = max(1, len(memory_mib) // 3)
    errors = Counter(error for result in said.values() for error in result["errors"])
    for error, count in errors.most_common(8):
        print(f"{count} x {error}", file=sys.stderr)
    return {
        "get_p50_ms": float(np.percentile(seconds, 50)),
        "get_p99_ms": float(np.percentile(seconds, 99)),
        "get_max_ms": float(seconds.max()),
        "gets": float(len(seconds)),
        "upload_mb_per_s": said["upload"]["bytes"] / 1e6 / options.seconds,
        "watch_events": float(said["watch"]["events"]),
        "watch_gaps": float(said["watch"]["gaps"]),
        "errors": float(errors.total()),
        "memory_first_mib": float(np.median(memory_mib[:third])),
        "memory_last_mib": float(np.median(memory_mib[-third:])),
        "gateway_cpu_s": float(used_s[1]),
        **{f"{part}_cpu_s": float(took_s) for part, took_s in zip(PARTS, used_s[2:], strict=True)},
        "others_cpu_s": float(used_s[0] - used_s[1:].sum()),
    }


def started(job: str) -> dict[str, subprocess.Popen[str]]:
    """Starts the clients of each kind, and waits until they can begin."""
    words = [sys.executable, "-m", "tests.benchmarks.gateway_load", *sys.argv[1:]]
    parts = {
        part: subprocess.Popen(
            [*words, "--part", part],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | _KEEP_MEMORY | {"GATEWAY_LOAD": job},
        )
        for part in PARTS
    }
    for part, child in parts.items():
        if child.stdout is None or child.stdout.readline() != "ready\n":
            raise RuntimeError(f"the clients of {part} did not start")
    return parts


def tell(child: subprocess.Popen[str], word: str) -> None:
    """Sends a line to a process."""
    if child.stdin is not None:
        child.stdin.write(f"{word}\n")
        child.stdin.flush()


def machine_cpu_s() -> float:
    """Returns the CPU time of everything on this machine so far, the kernel's own included."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice


def cpu_s(pid: int) -> float:
    """Returns the CPU time of a process and of those that it has started, so far."""
    process = psutil.Process(pid)
    times = [item.cpu_times() for item in (process, *process.children(recursive=True))]
    return sum(item.user + item.system for item in times)


def watched_memory(pid: int, seconds: float) -> list[float]:
    """Samples the memory of a process and of those it has started, without its beginning."""
    process = psutil.Process(pid)
    samples: list[float] = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        time.sleep(min(1.0, seconds / 20))
        all_of_it = (process, *process.children(recursive=True))
        samples.append(sum(item.memory_info().rss for item in all_of_it) / 2**20)
    return samples[len(samples) // 5 :]


def main() -> None:
    """Runs the benchmark, or one kind of load of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--ramp", type=float, default=6.0, help="seconds in which clients come")
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--uploads", type=int, default=20)
    parser.add_argument("--rate", type=float, default=500.0, help="GetJob calls a second")
    parser.add_argument(
        "--upload-rate", type=float, default=220.0, help="MB/s of all uploads; 0: no bound"
    )
    parser.add_argument("--gate", action="store_true", help="fail where a bound is not held")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        job = json.loads(os.environ["GATEWAY_LOAD"])
        gc.freeze()
        tally = asyncio.run(_part(options, job))
        print(json.dumps(tally.__dict__))
        return
    found = measure(options)
    for name, value in found.items():
        print(f"{name:18} {value:12.1f}")
    growth_mib = found["memory_last_mib"] - found["memory_first_mib"]
    held = {
        "p99 of GetJob is at most 25 ms": found["get_p99_ms"] <= 25,
        "uploads make 200 MB/s in sum": found["upload_mb_per_s"] >= 200,
        "no error, no gap": found["errors"] == found["watch_gaps"] == 0,
        "memory stays within 5%": growth_mib <= 0.05 * found["memory_first_mib"],
    }
    for what, is_held in held.items():
        print(f"{'held' if is_held else 'NOT HELD'}: {what}")
    if options.gate and not all(held.values()):
        sys.exit(1)


async def _part(options: argparse.Namespace, job: dict[str, Any]) -> Tally:
    load = Load(job["address"], job["token"])
    print("ready", flush=True)
    sys.stdin.readline()
    return await load.run(options.part, job["names"], options)


if __name__ == "__main__":
    main()
