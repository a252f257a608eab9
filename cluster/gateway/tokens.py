"""Bearer tokens: made once, kept as digests, compared in constant time."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from cluster.gateway.database import Database
from cluster.gateway.scopes import Scope
from cluster.gateway.tables import TOKENS
from worldloom.errors import ConfigError, CredentialError, NotFoundError

_PREFIX = "wl"
_PRINCIPAL = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_FORM = re.compile(rf"{_PREFIX}_([0-9a-f]{{16}})_([A-Za-z0-9_-]{{43}})")
_KEPT_S = 5.0
_MOST_KEPT = 10_000
_NOBODY = hashlib.sha256(b"no token has this digest").digest()


@dataclass(frozen=True)
class Principal:
    """A caller, and what it may do."""

    name: str
    scopes: frozenset[Scope]


@dataclass(frozen=True)
class TokenRecord:
    """What is kept of a token."""

    id: str
    principal: str
    scopes: frozenset[Scope]
    note: str
    create_s: float
    expire_s: float | None
    revoke_s: float | None


@dataclass(frozen=True)
class _Kept:
    secret_sha256: bytes
    record: TokenRecord
    read_s: float


class Tokens:
    """Makes tokens and tells whose they are.

    The secret is 256 random bits, so that its plain SHA-256 cannot be guessed back: slow hashes are
    for passwords that people choose.

    Args:
        database: Where their digests are.
        clock: Seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def create(
        self,
        principal: str,
        scopes: Iterable[Scope] = tuple(Scope),
        lifetime_s: float | None = None,
        note: str = "",
    ) -> str:
        """Makes a token and returns it; it cannot be shown again.

        Raises:
            ConfigError: the principal has no name that can be.
        """
        if not _PRINCIPAL.fullmatch(principal):
            raise ConfigError(
                f"principal must be 1 to 64 of a-z 0-9 . _ @ -, got {principal!r}",
                field="principal",
            )
        token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        now_s = self._clock()
        row = {
            "id": token_id,
            "principal": principal,
            "secret_sha256": hashlib.sha256(secret.encode()).digest(),
            "scopes": " ".join(sorted(scopes)),
            "note": note[:200],
            "create_s": now_s,
            "expire_s": None if lifetime_s is None else now_s + lifetime_s,
        }
        self._database.write_now(lambda connection: connection.execute(insert(TOKENS), row))
        return f"{_PREFIX}_{token_id}_{secret}"

    def list(self) -> tuple[TokenRecord, ...]:
        """Returns all tokens, by principal."""
        query = select(TOKENS).order_by(TOKENS.c.principal, TOKENS.c.create_s)
        rows = self._database.read_now(
            lambda connection: connection.execute(query).mappings().all()
        )
        return tuple(_record(dict(row)) for row in rows)

    def revoke(self, token_id: str) -> None:
        """Ends a token; gateways that have seen it notice within 5 seconds.

        Raises:
            NotFoundError: there is no such token.
        """
        change = update(TOKENS).where(TOKENS.c.id == token_id).values(revoke_s=self._clock())
        done = self._database.write_now(lambda connection: connection.execute(change).rowcount)
        if not done:
            raise NotFoundError(f"there is no token {token_id}; `tokens list` names all")

    async def principal(self, token: str) -> Principal:
        """Returns whose a token is.

        Raises:
            CredentialError: it is nobody's, or no longer valid. The message is the same for all.
        """
        form = _FORM.fullmatch(token)
        token_id, secret = form.groups() if form else ("", "")
        kept = await self._find(token_id) if form else None
        # The comparison is made for unknown tokens too, so that time does not tell which exist.
        given = hashlib.sha256(secret.encode()).digest()
        is_right = hmac.compare_digest(given, kept.secret_sha256 if kept else _NOBODY)
        if kept is None or not is_right or not self._is_valid(kept.record):
            raise CredentialError(
                "the token is not valid; ask the operator for one and send it as "
                "'authorization: Bearer TOKEN'"
            )
        return Principal(kept.record.principal, kept.record.scopes)

    def _is_valid(self, record: TokenRecord) -> bool:
        now_s = self._clock()
        return record.revoke_s is None and (record.expire_s is None or now_s < record.expire_s)

    async def _find(self, token_id: str) -> _Kept | None:
        kept = self._kept.get(token_id)
        now_s = self._clock()
        if kept is not None and now_s - kept.read_s < _KEPT_S:
            return kept
        query = select(TOKENS).where(TOKENS.c.id == token_id)
        row = await self._database.read(
            lambda connection: connection.execute(query).mappings().first()
        )
        if row is None:
            return None
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        found = _Kept(row["secret_sha256"], _record(dict(row)), now_s)
        self._kept[token_id] = found
        return found


def _record(row: dict[str, object]) -> TokenRecord:
    scopes = frozenset(Scope(text) for text in str(row["scopes"]).split())
    kept = {
        key: row[key] for key in ("id", "principal", "note", "create_s", "expire_s", "revoke_s")
    }
    return TokenRecord(scopes=scopes, **kept)  # pyright: ignore[reportArgumentType]
