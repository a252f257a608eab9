"""Generates cluster/rpc from proto/: messages, services, and their types.

Without an argument it writes cluster/rpc; with a folder, the same there, to compare.
"""

import re
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "cluster.rpc"
HEADER = '"""Generated from proto/ by deploy/protos.py; not to be edited."""\n'


def generate(target: Path) -> None:
    """Writes the package into a folder, whose Python files are replaced.

    Args:
        target: Folder of the package.
    """
    sources = sorted((ROOT / "proto" / "worldloom" / "v1").glob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        status = protoc.main(
            [
                "protoc",
                f"--proto_path={ROOT / 'proto'}",
                f"--proto_path={resources.files('grpc_tools') / '_proto'}",
                f"--python_out={scratch}",
                f"--pyi_out={scratch}",
                f"--grpc_python_out={scratch}",
                *map(str, sources),
            ]
        )
        if status:
            sys.exit(f"protoc ended with {status}")
        target.mkdir(parents=True, exist_ok=True)
        for old in target.glob("*.py*"):
            if old.is_file():
                old.unlink()
        (target / "__init__.py").write_text(HEADER)
        for made in sorted((Path(scratch) / "worldloom" / "v1").iterdir()):
            # protoc imports by the path of the .proto; here the modules lie in our own package.
            text = made.read_text()
            ours = re.sub(r"\bfrom worldloom\.v1 import", f"from {PACKAGE} import", text)
            (target / made.name).write_text(ours)


def main() -> None:
    """Runs the script."""
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "cluster" / "rpc")


if __name__ == "__main__":
    main()
