"""Writes the API reference, HTML from the docstrings of the public packages."""

import sys
from pathlib import Path

import pdoc
from pdoc.render import configure

PUBLIC = ("worldloom", "cluster.ray_runner", "actors.resources")
"""With all that they hold below, but for names that begin with an underscore."""


def main() -> None:
    """Writes the reference into the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python deploy/reference.py FOLDER")
    folder = Path(sys.argv[1])
    configure(docformat="google", show_source=False, footer_text="Worldloom")
    pdoc.pdoc(*PUBLIC, output_directory=folder)
    print(folder / "index.html")


if __name__ == "__main__":
    main()
