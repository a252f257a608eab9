"""Keeps secrets out of the log."""

import logging
import re

_SECRETS = (
    (re.compile(r"\bwl_([0-9a-f]{16})_[A-Za-z0-9_-]+"), r"wl_\1_..."),
    (re.compile(r"(?i)\b(bearer\s+)(?!wl_)[^\s'\",)]+"), r"\1..."),
    (re.compile(r"(://[^\s:/@]+:)[^\s@]+@"), r"\1...@"),
)


def redacted(text: str) -> str:
    """Returns a text without tokens and without passwords in URLs."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats records, traces among them, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line of a record."""
        return redacted(super().format(record))


def install() -> None:
    """Makes all handlers of this process keep secrets out."""
    formatter = RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
