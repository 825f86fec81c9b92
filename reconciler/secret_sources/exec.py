"""Secrets that a program prints: `{exec: [program, argument, ...]}`.

No shell: the words are the program's arguments as they stand. Which beginnings of command lines may
run is said by the operator file and nowhere else. The program gets a minimal environment, no input,
a time and a size; what it writes to standard error is thrown away, because it may hold the secret,
and a secret that is not known yet cannot be taken out of a text.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress

from reconciler.errors import SecretError
from reconciler.model import Json
from reconciler.secret_sources import LONGEST_SECRET_BYTES, Access, texts

#: What of our own environment a program gets: password managers keep their store below HOME.
_KEPT = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR")
_PATH = "/usr/local/bin:/usr/bin:/bin"


class ExecSource:
    """Runs programs; each command line once."""

    #: programs look after their own files: there is nothing to warn of
    warnings: tuple[str, ...] = ()

    def __init__(self, access: Access) -> None:
        assert access.policy.operator is not None  # the policy was asked before
        self._timeout_s = access.policy.operator.exec_timeout_s
        kept = {name: access.environment[name] for name in _KEPT if name in access.environment}
        self._environment = {**kept, "PATH": _PATH}

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns what the program prints, without one trailing newline.

        Raises:
            SecretError: it cannot be started, fails, takes too long, or prints no secret.
        """
        name = f"the program {argument[0]}"
        try:
            process = subprocess.Popen(  # noqa: S603 -- a list and no shell, and an allowed one
                list(argument),
                cwd="/",
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError):
            raise SecretError(f"{name} cannot be started", "check its path and mode") from None
        with process:
            try:
                output = _output(process, time.monotonic() + self._timeout_s)
            except TimeoutError:
                raise SecretError(
                    f"{name} does not end within {self._timeout_s:g} s", "run it by hand"
                ) from None
            finally:
                _end(process)
        if len(output) > LONGEST_SECRET_BYTES:
            raise SecretError(f"{name} prints more than {LONGEST_SECRET_BYTES // 1024} KiB")
        if process.returncode:
            raise SecretError(f"{name} ends with {process.returncode}", "run it by hand")
        what = f"what {name} prints"
        return texts.filled(what, texts.without_newline(texts.decoded(what, output)))


def _output(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Returns what `process` prints until it ends, or one byte more than a secret may have.

    Raises:
        TimeoutError: it does not end in time.
    """
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    output = b""
    while len(output) <= LONGEST_SECRET_BYTES:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
            raise TimeoutError
        data = os.read(descriptor, LONGEST_SECRET_BYTES + 1 - len(output))
        if not data:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise TimeoutError from None
            return output
        output += data
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills a program that has not ended, and everything that it started in its session."""
    if process.returncode is None:
        # not waited for yet, so that its number is still its own
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
