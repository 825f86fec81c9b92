"""The program behind `zygote.Zygote`: imports everything once, then becomes one command per fork.

Runs as a process of its own, without threads, so that a fork of it is a clean start. A child gets
its folder, environment and streams like a new process would, within limits that the kernel keeps.
With `watched`, an audit hook (PEP 578) notes what the command does to the world; a hook cannot be
taken away again, which is one more reason for a process per command.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import sys
from importlib import import_module
from typing import Any

#: Libraries are loaded beforehand, and of the package only what `plan` cannot do without: what it
#: loads on top of that is part of what is watched.
_PRELOADED = (
    *("alembic.command", "httptools", "httpx", "jsonschema", "jsonschema_rs", "pydantic"),
    *("sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "yaml", "psycopg", "pymysql"),
    *("reconciler.__main__", "reconciler.cli.main", "reconciler.cli.planning"),
)
_WATCHED = ("open", "socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")
_WATCHED_TOO = (
    *("pty.", "sqlite3.connect", "os.putenv", "os.chmod", "os.remove", "os.rename"),
    "environment.",  # raised by `environment_watch`
)
_ADDRESS_SPACE_BYTES = 2 << 30


def main() -> None:
    """Answers one line of JSON per line of JSON on standard input: how the command ended."""
    for name in _PRELOADED:
        import_module(name)
    gc.freeze()
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if not child:
            _become(job)
        _, status, usage = os.wait4(child, 0)
        ended = {
            "code": os.waitstatus_to_exitcode(status),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mib": usage.ru_maxrss / (1 << (20 if sys.platform == "darwin" else 10)),
        }
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


def _become(job: dict[str, Any]) -> None:
    code = 70
    try:
        _settle(job)
        if job["prelude"]:
            exec(job["prelude"], {"__name__": "prelude"})
        events: list[list[Any]] = []
        loaded = frozenset(sys.modules)
        if job["watched"]:
            _watch(events)
        from reconciler.__main__ import main as command

        code = _code(command)
        if job["watched"]:
            seen = json.dumps({"events": events, "modules": sorted(set(sys.modules) - loaded)})
            with open(job["watched"], "w", encoding="utf-8") as file:
                file.write(seen)
    finally:
        os._exit(code)


def _code(command: Any) -> int:
    try:
        code = int(command())
    except SystemExit as end:
        code = int(end.code or 0)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code


def _settle(job: dict[str, Any]) -> None:
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        opened = os.open(job[name], flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(job["folder"])
    environment = os.environ  # noqa: TID251 - of the process that becomes the command
    environment.clear()
    environment.update(job["env"])
    sys.dont_write_bytecode = True  # Python's own files are none of what is watched
    sys.argv[:] = ["reconciler", *job["argv"]]
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_s"], job["cpu_s"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(job["deadline_s"])


def _watch(events: list[list[Any]]) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_WATCHED) or event.startswith(_WATCHED_TOO):
            events.append([event, *map(_plain, arguments)])

    sys.addaudithook(hook)


def _plain(value: Any) -> Any:
    if isinstance(value, int | float | None):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return os.fsdecode(value) if isinstance(value, bytes | os.PathLike) else str(value)


if __name__ == "__main__":
    main()
