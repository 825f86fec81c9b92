"""Logging, through the gate: one line per event, however many lines its text has.

Libraries are held at WARNING whatever the user asks for: httpx logs whole URLs, and SQLAlchemy
whole statements, at INFO.
"""

from __future__ import annotations

import io
import logging

from reconciler.report import layout

#: `-v` counted -> level of our own loggers.
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
_LIBRARIES = ("alembic", "asyncio", "asyncssh", "httpcore", "httpx", "sqlalchemy")


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Returns the record on one line; a traceback follows indented, at debug level only."""
        text = f"{record.levelname.lower()}: {layout.one_line(record.getMessage())}"
        if record.exc_info and logging.getLogger("reconciler").isEnabledFor(logging.DEBUG):
            trace = self.formatException(record.exc_info)
            text += "".join(f"\n    {line}" for line in trace.splitlines())
        return text


def configure(stream: io.TextIOBase, *, verbosity: int) -> None:
    """Sends what the package and its libraries log to `stream`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_OneLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("reconciler").setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])
