from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from reconciler.cli import logs
from reconciler.cli.gate import Gate
from reconciler.redact import Redactor
from tests.unit.cli.terminal import Screen

SECRET = "s3cr3t-91d2e5"
NAMES = ("", "reconciler", "alembic", "asyncio", "httpcore", "httpx", "sqlalchemy")


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Gives the process its own logging back."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def configured(verbosity: int) -> Screen:
    screen = Screen()
    redactor = Redactor()
    redactor.add(SECRET)
    logs.configure(Gate(screen, redactor, is_data=False), verbosity=verbosity)
    return screen


def test_event_is_one_redacted_line() -> None:
    screen = configured(0)
    logging.getLogger("reconciler.health").warning("first %s\nsecond\x1b[2J", SECRET)
    assert screen.text == "warning: first *** second\\x1b[2J\n"


@pytest.mark.parametrize(
    ("verbosity", "text"),
    [
        pytest.param(0, "", id="quiet by default"),
        pytest.param(1, "info: one\n", id="-v"),
        pytest.param(2, "info: one\ndebug: two\n", id="-vv"),
        pytest.param(9, "info: one\ndebug: two\n", id="no more than that"),
    ],
)
def test_verbosity_shows_our_own_events(verbosity: int, text: str) -> None:
    screen = configured(verbosity)
    logging.getLogger("reconciler.x").info("one")
    logging.getLogger("reconciler.x").debug("two")
    assert screen.text == text


@pytest.mark.parametrize("library", ["httpx", "httpcore.connection", "sqlalchemy.engine"])
def test_libraries_say_only_warnings_whatever_is_asked(library: str) -> None:
    screen = configured(2)
    logging.getLogger(library).info("GET https://u:p@host/?token=x")
    assert screen.text == ""


def test_traceback_is_shown_for_debugging_only() -> None:
    texts = []
    for verbosity in (0, 2):
        screen = configured(verbosity)
        logging.getLogger("reconciler.x").error("a probe crashed", exc_info=ValueError(SECRET))
        texts.append(screen.text)
    assert texts == ["error: a probe crashed\n", "error: a probe crashed\n    ValueError: ***\n"]
