"""Prints the requirements of pyproject.toml and of some extras, for a layer of an image."""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def requirements(extras: list[str], project: Path = ROOT / "pyproject.toml") -> list[str]:
    """Returns the requirements of the project and of its extras, torch left out.

    torch is installed before, from the index that has the build asked for.
    """
    declared = tomllib.loads(project.read_text())["project"]
    wanted = list(declared["dependencies"])
    for extra in extras:
        if extra not in declared["optional-dependencies"]:
            sys.exit(f"pyproject.toml has no extra {extra!r}")
        wanted += declared["optional-dependencies"][extra]
    return [line for line in wanted if not line.startswith("torch>")]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python requirements.py EXTRA,EXTRA")
    print("\n".join(requirements([name for name in sys.argv[1].split(",") if name])))
