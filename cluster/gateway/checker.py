"""The process that computes digests: reads paths from stdin, writes digests, a line each.

    python -m cluster.gateway.checker

It imports little, for it is started while somebody waits.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import IO

from cluster.gateway.direct import pieces

_NICE = 10


def sha256_of(path: Path) -> bytes:
    """Returns the SHA-256 of a file as it is on the disk.

    Raises:
        OSError: it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        digest = hashlib.sha256()
        for piece in pieces(fd):
            digest.update(piece)
        return digest.digest()
    finally:
        os.close(fd)


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answers until there is no more question; a file that cannot be read has an empty answer."""
    for line in asked:
        try:
            digest = sha256_of(Path(json.loads(line))).hex()
        except OSError as error:
            sys.stderr.write(f"digests: {error}\n")
            digest = ""
        answers.write(digest.encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    os.nice(_NICE)
    serve(sys.stdin.buffer, sys.stdout.buffer)
