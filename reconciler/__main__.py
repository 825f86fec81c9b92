"""Where the installed command and `python -m reconciler` begin.

Answers `--version` before anything is imported: it is asked for in scripts and loops, and click
alone takes several times as long as all of it.
"""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """Runs the command line of this process and returns its exit code."""
    try:
        _occupy_descriptors()
        if sys.argv[1:] in (["--version"], ["-V"]):
            return _print_version()
        # The stages make values without cycles, so looking for cycles among ten thousand manifests
        # costs a fifth of the time and finds nothing. A health pass turns it on again.
        gc.disable()
        from reconciler.cli import main as command_line

        return command_line.main(sys.argv[1:])
    except KeyboardInterrupt:  # while importing; afterwards the command line answers
        return 130


def _occupy_descriptors() -> None:
    """Puts the null device where a standard stream is closed.

    The next file that is opened would get its number, and a library that prints an error to
    descriptor 2 would then write into, for instance, the state database.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _print_version() -> int:
    from reconciler._version import __version__

    try:
        if sys.stdout is None:
            return 1
        sys.stdout.write(f"reconciler {__version__}\n")
        sys.stdout.flush()
    except OSError:
        # Else the interpreter flushes once more when it ends, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
