"""Notes what `bundle.js` was built from, so that a test can tell without npm that it is current."""

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "worldloom" / "report" / "page"
STAMP = PAGE / "bundle.json"


def stamp() -> dict[str, object]:
    """Returns the digests of sources and bundle, and the versions of what built it."""
    package = json.loads((HERE / "package.json").read_text())
    sources = [*sorted((PAGE / "source").glob("*.js")), HERE / "package-lock.json"]
    return {
        "three": package["dependencies"]["three"],
        "esbuild": package["devDependencies"]["esbuild"],
        "sources": {path.name: _sha256(path) for path in sources},
        "bundle": _sha256(PAGE / "bundle.js"),
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    STAMP.write_text(json.dumps(stamp(), indent=2) + "\n")
