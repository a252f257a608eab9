"""Asks a gateway how it is by grpc.health.v1; exits 0 only if it serves.

    python health.py HOST:PORT [--ca FILE] [--cert FILE --key FILE] [--timeout S]

For `HEALTHCHECK` of images and other places that run a command. Kubernetes asks by itself.
"""

import argparse
import sys
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub


def channel(arguments: argparse.Namespace) -> grpc.Channel:
    """Returns a channel, in plain text unless an authority is named."""
    if arguments.ca is None:
        return grpc.insecure_channel(arguments.address)
    credentials = grpc.ssl_channel_credentials(
        arguments.ca.read_bytes(),
        arguments.key.read_bytes() if arguments.key else None,
        arguments.cert.read_bytes() if arguments.cert else None,
    )
    return grpc.secure_channel(arguments.address, credentials)


def main() -> int:
    """Returns the exit status: 0 serving, 1 not serving, 2 not to be reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--service", default="")
    parser.add_argument("--timeout", type=float, default=4.0)
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    arguments = parser.parse_args()
    with channel(arguments) as opened:
        try:
            answer = HealthStub(opened).Check(
                HealthCheckRequest(service=arguments.service), timeout=arguments.timeout
            )
        except grpc.RpcError as error:
            print(f"{arguments.address}: {error.code().name}: {error.details()}", file=sys.stderr)
            return 2
    status = HealthCheckResponse.ServingStatus.Name(answer.status)
    print(status)
    return 0 if status == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main())
