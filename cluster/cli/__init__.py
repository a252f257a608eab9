"""The `worldloom` command."""

from cluster.cli._main import main as main
