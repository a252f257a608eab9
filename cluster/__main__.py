"""`python -m cluster`: the `worldloom` command."""

from cluster.cli import main

if __name__ == "__main__":
    main()
