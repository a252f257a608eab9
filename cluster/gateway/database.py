"""The database of the gateway: SQLite in its folder, or PostgreSQL for several gateways."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Select, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from worldloom.errors import StoreError

T = TypeVar("T")
_READERS = 4
_WRITE_LOCK = 0x776F726C
"""Key of PostgreSQL's advisory lock: writers take turns, as they do in SQLite, so that what a
transaction has read (quotas, states) still holds when it writes."""


@dataclass(frozen=True)
class _Text:
    """A query in the words of SQLite's driver."""

    words: str
    names: tuple[str, ...]
    """Of its parameters, in their order."""
    columns: tuple[str, ...]


class Database:
    """Runs functions on connections, in threads of its own.

    Args:
        url: SQLAlchemy URL of SQLite or PostgreSQL.

    Raises:
        StoreError: it cannot be opened or brought up to date.
    """

    def __init__(self, url: str) -> None:
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self._writing = _engine(url, self.is_sqlite, begin="BEGIN IMMEDIATE")
        self._reading = _engine(url, self.is_sqlite, begin="BEGIN")
        self._standing: Connection | None = None
        """Of the loop alone."""
        self._texts: dict[Select[Any], _Text] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="database-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="database-reader")
        try:
            _migrate(self._writing)
        except SQLAlchemyError as error:
            raise StoreError(
                f"the database {make_url(url).render_as_string()} cannot be used: {error}; check "
                "that it is there and that its user may make tables",
                uri=make_url(url).render_as_string(),
            ) from error

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Runs a function that only reads, in a moment.

        SQLite answers from memory, and in WAL mode never waits for writers: it is asked on the
        loop, without the way to a thread and back, and on a connection that stays: to take one from
        the pool takes twice as long as an answer.
        """
        if self.is_sqlite:
            if self._standing is None:
                self._standing = self._reading.connect()
            with self._standing.begin():
                return function(self._standing)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self.read_now, function)

    async def row(self, query: Select[Any], values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Returns the first row of a query, as the driver gives it: a boolean may be 0 or 1.

        For what is asked hundreds of times a second: SQLite's driver is asked without a transaction
        around its one statement, in a tenth of the time that the layers over it take.

        Args:
            query: Made once and kept; its parameters are named by `bindparam`.
            values: Of the parameters.
        """
        if not self.is_sqlite:
            return await self.read(lambda connection: _first(connection, query, values))
        if self._standing is None:
            self._standing = self._reading.connect()
        asked = self._texts.get(query)
        if asked is None:
            asked = self._texts[query] = _text(query, self._reading)
        driver: Any = self._standing.connection.driver_connection
        found = driver.execute(asked.words, [values[name] for name in asked.names]).fetchone()
        return None if found is None else dict(zip(asked.columns, found, strict=True))

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Runs a function in a transaction; what it raises undoes it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self.write_now, function)

    def read_now(self, function: Callable[[Connection], T]) -> T:
        """Runs a function that only reads in this thread."""
        with self._reading.begin() as connection:
            return function(connection)

    def write_now(self, function: Callable[[Connection], T]) -> T:
        """Runs a function in a transaction in this thread."""
        with self._writing.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})"))
            return function(connection)

    def close(self) -> None:
        """Ends the threads, after what they do, and closes the connections."""
        self._writer.shutdown()
        self._readers.shutdown()
        if self._standing is not None:
            self._standing.close()
        self._writing.dispose()
        self._reading.dispose()


def sqlite_url(path: Path) -> str:
    """Returns the URL of a database file."""
    return f"sqlite:///{path}"


def _engine(url: str, is_sqlite: bool, begin: str) -> Engine:
    if not is_sqlite:
        return create_engine(url, pool_pre_ping=True, pool_size=_READERS)
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 30.0})

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        # The driver's own transactions would begin too late, after the first read.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        # WAL keeps the file whole whatever happens; what a power cut may take is the last moment.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql(begin)

    return engine


def _first(
    connection: Connection, query: Select[Any], values: Mapping[str, Any]
) -> dict[str, Any] | None:
    row: Any = connection.execute(query, dict(values)).mappings().first()
    return None if row is None else dict(row)


def _text(query: Select[Any], engine: Engine) -> _Text:
    compiled: Any = query.compile(engine)
    columns = tuple(column.name for column in query.selected_columns)
    return _Text(str(compiled), tuple(compiled.positiontup or ()), columns)


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
