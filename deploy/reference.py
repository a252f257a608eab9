"""Writes the API reference, HTML from the docstrings of the public packages."""

import inspect
import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pdoc
from pdoc.render import configure

PUBLIC = ("worldloom", "cluster.ray_runner", "actors.resources")
"""With all that they hold below, but for names that begin with an underscore."""


def name_public(package: ModuleType) -> None:
    """Says what a package offers: what it imports from its private modules, and its public ones.

    pdoc leaves out what stands in another module, unless `__all__` names it.
    """
    offered = [
        name
        for name in dir(package)
        if not name.startswith("_") and not inspect.ismodule(getattr(package, name))
    ]
    below = [part for part in pkgutil.iter_modules(package.__path__) if part.name[0] != "_"]
    package.__dict__["__all__"] = offered + [part.name for part in below]
    for part in below:
        if part.ispkg:
            name_public(import_module(f"{package.__name__}.{part.name}"))


def main() -> None:
    """Writes the reference into the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python deploy/reference.py FOLDER")
    folder = Path(sys.argv[1])
    name_public(import_module("worldloom"))
    configure(docformat="google", show_source=False, footer_text="Worldloom")
    pdoc.pdoc(*PUBLIC, output_directory=folder)
    print(folder / "index.html")


if __name__ == "__main__":
    main()
