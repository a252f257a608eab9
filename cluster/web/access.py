"""Who calls: bearer tokens, and sessions of browsers that stand for one."""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

SESSION_S = 8 * 3600.0
"""How long a session lasts; then the token has to be typed again."""
_MOST_SESSIONS = 10_000
_MOST_ADDRESSES = 10_000


@dataclass(frozen=True)
class Caller:
    """Whose token it is, and what it may do."""

    name: str
    scopes: frozenset[str]


class TokenCheck(Protocol):
    """Tells whose a token is; compares digests in constant time and keeps no token."""

    async def caller(self, token: str) -> Caller | None:
        """Returns the caller; None for a token that is nobody's, expired or revoked."""
        ...


@dataclass(frozen=True)
class Session:
    """A browser that has shown a token."""

    token: str
    """Asked about again at each request, so that a revoked token ends its sessions."""
    form_token: str
    """Comes back with each form, so that no other site can send one."""
    end_s: float


class Sessions:
    """Sessions in memory: a restart of the gateway ends them, as does their age.

    Browsers hold a random id; here its digest leads to the session. The oldest go when there are
    too many.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def open(self, token: str, now_s: float) -> str:
        """Returns the id of a new session."""
        self._forget_old(now_s)
        session_id = secrets.token_urlsafe(32)
        session = Session(token, secrets.token_urlsafe(32), now_s + SESSION_S)
        self._sessions[_digest(session_id)] = session
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session_id

    def find(self, session_id: str, now_s: float) -> Session | None:
        """Returns a session that has not ended."""
        session = self._sessions.get(_digest(session_id))
        return session if session is not None and now_s < session.end_s else None

    def close(self, session_id: str) -> None:
        """Ends a session; it may have ended."""
        self._sessions.pop(_digest(session_id), None)

    def _forget_old(self, now_s: float) -> None:
        # All last equally long, so the first to end come first.
        while self._sessions and next(iter(self._sessions.values())).end_s <= now_s:
            self._sessions.popitem(last=False)


class Attempts:
    """Bounds how often an address may show a wrong token.

    Args:
        most: Wrong ones within the window.
        window_s: Length of the window.
    """

    def __init__(self, most: int = 10, window_s: float = 60.0) -> None:
        self._most = most
        self._window_s = window_s
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def is_blocked(self, address: str, now_s: float) -> bool:
        """Returns whether an address has to wait."""
        start_s, count = self._wrong.get(address, (now_s, 0))
        return count >= self._most and now_s - start_s < self._window_s

    def failed(self, address: str, now_s: float) -> None:
        """Counts a wrong token."""
        start_s, count = self._wrong.get(address, (now_s, 0))
        if now_s - start_s >= self._window_s:
            start_s, count = now_s, 0
        self._wrong[address] = (start_s, count + 1)
        self._wrong.move_to_end(address)
        while len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)


def _digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "replace")).digest()
