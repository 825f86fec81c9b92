from __future__ import annotations

import pytest

from reconciler.cli.gate import Gate
from reconciler.errors import OutputFailed
from reconciler.redact import Redactor
from tests.unit.cli.terminal import Screen

SECRET = "s3cr3t-91d2e5"


def make_gate(screen: Screen | None, *, is_data: bool = True) -> Gate:
    redactor = Redactor()
    redactor.add(SECRET)
    return Gate(screen, redactor, is_data=is_data)


def test_secret_is_redacted() -> None:
    screen = Screen()
    make_gate(screen).emit(f"token {SECRET}\n", styled=False)
    assert screen.text == "token ***\n"


def test_secret_written_in_pieces_is_redacted() -> None:
    screen = Screen()
    gate = make_gate(screen)
    gate.write("token " + SECRET[:5])
    gate.write(SECRET[5:] + "\n")
    assert screen.text == "token ***\n"


def test_unfinished_line_is_written_when_flushed() -> None:
    screen = Screen()
    gate = make_gate(screen)
    gate.write("no newline")
    gate.flush()
    assert screen.text == "no newline"


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        pytest.param("\x1b[2J", "\\x1b[2J", id="escape sequence"),
        pytest.param("a\rb", "a\\rb", id="carriage return"),
        pytest.param("\x9b31m", "\\x9b31m", id="8-bit control sequence"),
        pytest.param("a\u202eb", "a\\u202eb", id="text turned around"),
        pytest.param("a\x00b\x07", "a\\x00b\\x07", id="NUL and bell"),
        pytest.param("\ud800", "\\ud800", id="lone surrogate"),
        pytest.param("a\tb\n", "a\tb\n", id="tab and newline stay"),
    ],
)
def test_control_characters_are_escaped(foreign: str, shown: str) -> None:
    screen = Screen()
    make_gate(screen).emit(foreign, styled=True)
    assert screen.text == shown


def test_colours_and_links_of_reports_stay_where_they_can_be_shown() -> None:
    screen = Screen()
    text = "\x1b[1;31merror\x1b[0m \x1b]8;;file:///a%20b\x1b\\a b\x1b]8;;\x1b\\\n"
    make_gate(screen).emit(text, styled=True)
    assert screen.text == text


def test_colours_and_links_of_reports_are_removed_elsewhere() -> None:
    screen = Screen()
    text = "\x1b[1;31merror\x1b[0m \x1b]8;;file:///a%20b\x1b\\a b\x1b]8;;\x1b\\\n"
    make_gate(screen).emit(text, styled=False)
    assert screen.text == "error a b\n"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        pytest.param("ascii", "+ - x ~ . \\xfc\n", id="ascii"),
        pytest.param("cp1252", "+ - x ~ . \u00fc\n", id="windows"),
        pytest.param("utf-8", "✓ – ✗ … · ü\n", id="utf-8"),
    ],
)
def test_glyphs_that_the_encoding_lacks_have_a_stand_in(encoding: str, shown: str) -> None:
    screen = Screen(encoding)
    make_gate(screen).emit("✓ – ✗ … · ü\n", styled=False)
    assert screen.text == shown


def test_standard_output_that_does_not_exist_fails() -> None:
    with pytest.raises(OutputFailed, match="cannot be written: it is closed"):
        make_gate(None).emit("data", styled=False)


def test_failing_again_is_silent() -> None:
    gate = make_gate(None)
    with pytest.raises(OutputFailed):
        gate.emit("data", styled=False)
    gate.emit("data", styled=False)
    gate.flush()


def test_standard_error_never_fails() -> None:
    screen = Screen()
    gate = make_gate(screen, is_data=False)
    screen.close()
    gate.emit("talk", styled=False)
    make_gate(None, is_data=False).emit("talk", styled=False)


def test_drawn_line_is_cleared_by_the_next_text() -> None:
    screen = Screen(is_terminal=True)
    gate = make_gate(screen, is_data=False)
    gate.redraw("1/2")
    gate.redraw("2/2")
    gate.emit("done\n", styled=False)
    gate.emit("next\n", styled=False)
    assert screen.text == "\r\x1b[K1/2\r\x1b[K2/2\r\x1b[Kdone\nnext\n"
