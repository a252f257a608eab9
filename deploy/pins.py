"""Writes constraints.txt: the exact version of all that Worldloom pulls in, from this environment.

Versions of packages that are not installed here (extras for other machines) are kept as they are.
"""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Exact versions that Worldloom is tested with. Written by `poe pins`.
# CUDA's own packages are pinned by torch.
"""


def declared() -> list[Requirement]:
    """Returns what pyproject.toml asks for, all extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]


def pinned() -> dict[str, str]:
    """Returns the versions in constraints.txt by package."""
    path = ROOT / "constraints.txt"
    text = path.read_text() if path.exists() else ""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", text, re.MULTILINE))


def closure(requirements: list[Requirement], known: dict[str, str]) -> dict[str, str]:
    """Returns the installed version of each requirement and of all that these require."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [
        (requirement.name, extra)
        for requirement in requirements
        for extra in ("", *requirement.extras)
    ]
    while waiting:
        name, extra = waiting.pop()
        name = canonicalize_name(name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name not in known:
                sys.exit(f"{name} is neither installed nor in constraints.txt; install it first")
            continue
        versions[name] = package.version.partition("+")[0]
        for line in package.requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(needed.name, more) for more in ("", *needed.extras)]
    return versions


def main() -> None:
    """Writes the file."""
    known = pinned()
    installed = {canonicalize_name(package.name) for package in metadata.distributions()}
    kept = {name: version for name, version in known.items() if name not in installed}
    versions = kept | closure(declared(), known)
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
