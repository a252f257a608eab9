"""Ids of resources, names, and page tokens."""

import base64
import re
import secrets
from dataclasses import dataclass
from typing import Generic, TypeVar

from worldloom.errors import ConfigError

R = TypeVar("R")
_ID = re.compile(r"[0-9a-f]{28}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_USUAL_PAGE, _LARGEST_PAGE = 50, 1000
_LONGEST_NAME = 200


def new_id(now_s: float) -> str:
    """Returns an id that sorts by time: milliseconds in 12 hex digits, then 64 random bits."""
    return f"{int(now_s * 1000):012x}{secrets.token_hex(8)}"


def id_of(name: str, collection: str, field: str = "name") -> str:
    """Returns the id in the name of a resource.

    Raises:
        ConfigError: it is no such name.
    """
    found, _, identifier = name.partition("/")
    if found != collection or not _ID.fullmatch(identifier):
        raise ConfigError(
            f"{field} must be {collection}/ and an id, got {shown(name)}", field=field
        )
    return identifier


def checked_request_id(text: str, field: str = "request_id") -> str | None:
    """Returns a request id, or None where it is empty.

    Raises:
        ConfigError: it is none.
    """
    if text and not _REQUEST_ID.fullmatch(text):
        raise ConfigError(
            f"{field} must be at most 64 of A-Z a-z 0-9 _ -, got {shown(text)}", field=field
        )
    return text or None


def checked_file_name(text: str, field: str = "display_name") -> str:
    """Returns the name of a file that may be used on a disk.

    Raises:
        ConfigError: it is empty, too long, or more than a name.
    """
    is_plain = text.isprintable() and not re.search(r'[/\\:*?"<>|]', text)
    if not text or len(text.encode()) > _LONGEST_NAME or not is_plain or text.startswith("."):
        raise ConfigError(
            f"{field} must be a file name of 1 to {_LONGEST_NAME} bytes, without folders and not "
            f"beginning with a dot, got {shown(text)}",
            field=field,
        )
    return text


def checked_title(text: str, field: str = "display_name") -> str:
    """Returns a text for people.

    Raises:
        ConfigError: it is too long or has control characters.
    """
    if len(text) > _LONGEST_NAME or not (text.isprintable() or not text):
        raise ConfigError(
            f"{field} must have at most {_LONGEST_NAME} printable characters", field=field
        )
    return text


def shown(text: str) -> str:
    """Returns what a caller sent, short enough for a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


@dataclass(frozen=True)
class Page(Generic[R]):
    """Some of many."""

    items: tuple[R, ...]
    next_token: str


@dataclass(frozen=True)
class PageRequest:
    """Which of many."""

    size: int
    before_id: str | None
    """Only what is older; None: all."""


def page_request(size: int, token: str) -> PageRequest:
    """Returns what a caller asks for.

    Raises:
        ConfigError: the size is out of range, or the token is not one of ours.
    """
    if not 0 <= size <= _LARGEST_PAGE:
        raise ConfigError(f"page_size must be 0 to {_LARGEST_PAGE}, got {size}", field="page_size")
    before_id = None
    if token:
        try:
            before_id = base64.urlsafe_b64decode(token.encode()).decode()
        except ValueError:
            before_id = ""
        if not _ID.fullmatch(before_id):
            raise ConfigError(
                "page_token is none of ours; take next_page_token as it came", field="page_token"
            )
    return PageRequest(size or _USUAL_PAGE, before_id)


def page_token(last_id: str) -> str:
    """Returns the token of the page after an id."""
    return base64.urlsafe_b64encode(last_id.encode()).decode()
