"""The contract: what is generated, what is documented, what is kept in tables."""

import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cluster.gateway.database import Database, sqlite_url
from cluster.gateway.tables import METADATA

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_package_is_that_of_the_protos(tmp_path: Path):
    command = [sys.executable, str(ROOT / "deploy" / "protos.py"), str(tmp_path / "rpc")]
    subprocess.run(command, check=True, timeout=100)
    made = {path.name: path.read_text() for path in (tmp_path / "rpc").iterdir()}
    committed = {
        path.name: path.read_text()
        for path in (ROOT / "cluster" / "rpc").iterdir()
        if path.is_file()
    }
    assert made == committed, "run `poe protos` and commit"


def test_the_migrations_make_the_tables(tmp_path: Path):
    database = Database(sqlite_url(tmp_path / "a.db"))
    try:
        differences = database.read_now(
            lambda connection: compare_metadata(MigrationContext.configure(connection), METADATA)
        )
    finally:
        database.close()
    assert differences == []


def test_proto_holds_protos_alone():
    files = [path.relative_to(ROOT / "proto") for path in (ROOT / "proto").rglob("*")]
    assert {path.suffix for path in files if path.suffix} == {".proto", ".yaml"}
