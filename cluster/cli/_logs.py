"""How the command speaks on stderr: text for people, or JSON lines for machines."""

import logging
import sys

from worldloom.logs import JsonFormatter, LogConfig, json_handler


class _StderrHandler(logging.Handler):
    """Writes records to what is stderr at the moment: a live display puts itself in between."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")
        sys.stderr.flush()


_HANDLER = _StderrHandler()


def start_text() -> None:
    """Sends log records to stderr as text."""
    _HANDLER.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[_HANDLER])


def turn_to_json(config: LogConfig) -> None:
    """Makes every line on stderr a JSON object from here on."""
    json_handler(_HANDLER, config)


def say(level: int, text: str, logger: str) -> None:
    """Says one line to the user of the command.

    Args:
        level: Of the log record where JSON is wanted.
        text: The line, without its end.
        logger: Name of the program or of the command.
    """
    line = " ".join(text.split())
    if isinstance(_HANDLER.formatter, JsonFormatter):
        record = logging.LogRecord(logger, level, __file__, 0, line, None, None)
        _HANDLER.handle(record)
    else:
        sys.stderr.write(f"{logger}: {line}\n")
