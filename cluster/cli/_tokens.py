"""`worldloom tokens`: who may call the gateway."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import tyro

from cluster.cli._serve import DATABASE_VARIABLE
from cluster.cli._terminal import write_json

if TYPE_CHECKING:
    from cluster.gateway.tokens import TokenRecord, Tokens

ScopeName = Literal[
    "jobs.read",
    "jobs.write",
    "assets.read",
    "assets.write",
    "scenes.read",
    "scenes.write",
    "metrics.read",
]


@dataclass(frozen=True)
class CreateToken:
    """Makes a token and prints it, once: only its digest is kept."""

    data: Path
    """Folder of the gateway."""
    principal: str
    """Who will call: 1 to 64 of a-z 0-9 . _ @ -. Assets and jobs belong to it."""
    scopes: tuple[ScopeName, ...] = ()
    """What it allows; none: everything."""
    days: float | None = 90.0
    """How long it is valid; None: until it is revoked."""
    note: str = ""
    """What it is for."""
    database: str | None = None
    """SQLAlchemy URL; None: WORLDLOOM_DATABASE_URL, or SQLite in the folder."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            WorldloomError: it cannot be made.
        """
        from cluster.gateway.scopes import Scope

        scopes = tuple(Scope(name) for name in self.scopes) or tuple(Scope)
        lifetime_s = None if self.days is None else self.days * 86_400
        with _tokens(self.data, self.database) as tokens:
            token = tokens.create(self.principal, scopes, lifetime_s, self.note)
        if self.json:
            write_json(stdout, {"token": token, "principal": self.principal})
        else:
            stdout.write(token + "\n")


@dataclass(frozen=True)
class ListTokens:
    """Lists tokens, without their secrets."""

    data: Path
    """Folder of the gateway."""
    database: str | None = None
    """SQLAlchemy URL; None: WORLDLOOM_DATABASE_URL, or SQLite in the folder."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command."""
        with _tokens(self.data, self.database) as tokens:
            records = tokens.list()
        if self.json:
            write_json(stdout, {"tokens": [_plain(record) for record in records]})
            return
        for record in records:
            plain = _plain(record)
            state = "revoked" if record.revoke_s else f"until {plain['expires'] or 'revoked'}"
            scopes = " ".join(sorted(record.scopes))
            stdout.write(f"{record.id}  {record.principal}  {state}  {scopes}  {record.note}\n")


@dataclass(frozen=True)
class RevokeToken:
    """Ends a token; running gateways notice within 5 seconds."""

    data: Path
    """Folder of the gateway."""
    token_id: Annotated[str, tyro.conf.Positional]
    """The 16 digits after `wl_`, as `tokens list` shows them."""
    database: str | None = None
    """SQLAlchemy URL; None: WORLDLOOM_DATABASE_URL, or SQLite in the folder."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            NotFoundError: there is no such token.
        """
        with _tokens(self.data, self.database) as tokens:
            tokens.revoke(self.token_id)
        if self.json:
            write_json(stdout, {"revoked": self.token_id})
        else:
            stdout.write(f"{self.token_id} is revoked\n")


TokenCommand = (
    Annotated[CreateToken, tyro.conf.subcommand("create")]
    | Annotated[ListTokens, tyro.conf.subcommand("list")]
    | Annotated[RevokeToken, tyro.conf.subcommand("revoke")]
)


@dataclass(frozen=True)
class TokenAdmin:
    """Makes, lists and revokes the tokens of a gateway."""

    command: Annotated[TokenCommand, tyro.conf.arg(name="")]

    @property
    def json(self) -> bool:
        """Whether the answer is JSON."""
        return self.command.json

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            WorldloomError: what is wrong.
        """
        self.command.run(stdout)


@contextmanager
def _tokens(data: Path, database_url: str | None) -> Generator["Tokens"]:
    from cluster.gateway.core import DATABASE_FILE
    from cluster.gateway.database import Database, sqlite_url
    from cluster.gateway.tokens import Tokens

    data.mkdir(parents=True, exist_ok=True, mode=0o750)
    url = database_url or os.environ.get(DATABASE_VARIABLE)
    database = Database(url or sqlite_url(data.resolve() / DATABASE_FILE))
    try:
        yield Tokens(database)
    finally:
        database.close()


def _plain(record: "TokenRecord") -> dict[str, object]:
    return {
        "id": record.id,
        "principal": record.principal,
        "scopes": sorted(record.scopes),
        "note": record.note,
        "created": _time(record.create_s),
        "expires": _time(record.expire_s),
        "revoked": _time(record.revoke_s),
    }


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
