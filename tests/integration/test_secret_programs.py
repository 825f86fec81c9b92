"""Programs that print secrets: what they are given, and how they end."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler import config
from reconciler.errors import SecretError
from reconciler.redact import Redactor
from reconciler.secret_sources import Secrets
from reconciler.settings import OperatorSecrets, SecretPolicy

#: What is not there after so long never comes.
PATIENCE_S = 60.0
CANARY = "TOPSECRET-canary"
ENVIRONMENT = {"HOME": "/home/ana", "TOKEN": CANARY, "LD_PRELOAD": "/evil.so", "PATH": "/evil"}


def secrets(argv: Sequence[str], timeout_s: float = 30.0) -> Secrets:
    operator = OperatorSecrets(exec_allow=(tuple(argv),), exec_timeout_s=timeout_s)
    return Secrets(
        SecretPolicy(root="/project", operator=operator), ENVIRONMENT, Redactor(), clock=config.now
    )


def run(script: str, *arguments: str) -> str:
    argv = [sys.executable, "-c", script, *arguments]
    return secrets(argv).resolve({"exec": argv}).reveal()


def refusal(script: str, *arguments: str, timeout_s: float = 30.0) -> SecretError:
    argv = [sys.executable, "-c", script, *arguments]
    with pytest.raises(SecretError) as caught:
        secrets(argv, timeout_s).resolve({"exec": argv})
    assert CANARY not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


def test_words_are_arguments_and_no_shell_reads_them() -> None:
    words = ("$HOME", "; id", "a b", "`id`", "*")
    assert run("import sys; print(sys.argv[1:])", *words) == str(list(words))


def test_only_the_last_newline_is_taken_away() -> None:
    assert run("print('a\\n')") == "a\n"


def test_environment_is_minimal_and_input_is_empty() -> None:
    script = "import os, sys; print(sorted(os.environ), sys.stdin.read(), os.getcwd())"
    kept = run(script).replace("'LC_CTYPE', ", "")  # set by Python itself
    assert kept == "['HOME', 'PATH']  /"


def test_path_is_not_that_of_the_environment() -> None:
    assert "/evil" not in run("import os; print(os.environ['PATH'])")


def test_failure_shows_the_code_and_no_output() -> None:
    error = refusal(f"import sys; print('{CANARY}'); sys.exit('{CANARY}')")
    assert error.message == f"the program {sys.executable} ends with 1"


def test_signal_is_told_as_such() -> None:
    assert refusal("import os; os.kill(os.getpid(), 9)").message.endswith("ends with -9")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        pytest.param("", "is empty", id="nothing"),
        pytest.param("print()", "is empty", id="a line break"),
        pytest.param("print('a' * 100_000)", "prints more than 64 KiB", id="too much"),
        pytest.param("print('a\\0b')", "has a NUL character", id="NUL"),
        pytest.param(
            "import sys; sys.stdout.buffer.write(b'a\\xff')", "is not UTF-8", id="not UTF-8"
        ),
        pytest.param("while True: print('a' * 1000)", "prints more than", id="without end"),
    ],
)
def test_output_that_is_no_secret_is_refused(script: str, says: str) -> None:
    assert says in refusal(script).message


def test_program_that_cannot_be_started_is_said(tmp_path: Path) -> None:
    with pytest.raises(SecretError) as caught:
        secrets([f"{tmp_path}/nothing"]).resolve({"exec": [f"{tmp_path}/nothing"]})
    assert "cannot be started" in caught.value.message


def test_program_and_what_it_started_are_killed_at_the_deadline(tmp_path: Path) -> None:
    """The child has the same output, so that it would hold it open for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = (
        "import os, time\n"
        f"os.open('{pipe}', os.O_WRONLY)\n"
        f"print('{CANARY}', flush=True)\n"
        "os.fork()\n"
        "time.sleep(600)\n"
    )
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        error = refusal(script, timeout_s=1.5)
        assert "does not end within 1.5 s" in error.message
        ended, _, _ = select.select([reading], [], [], PATIENCE_S)
        assert ended  # whoever could write to it is gone
        assert os.read(reading, 1) == b""
    finally:
        os.close(reading)


def test_output_held_open_by_a_child_ends_at_the_deadline() -> None:
    script = "import os, time\nif not os.fork(): time.sleep(600)\nprint('a', flush=True)"
    assert "does not end within" in refusal(script, timeout_s=1.0).message
