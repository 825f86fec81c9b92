"""What a disk can do to a state file, and preludes that make a process meet such a disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

#: Makes root a user whom permissions bind: it keeps its name and loses its capabilities
#: (capset(2), version 3 of the structures).
WITHOUT_PRIVILEGES = """
import ctypes, os
if os.geteuid() == 0:
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None, use_errno=True).capset(header, nothing) == 0, ctypes.get_errno()
"""
PAGE_BYTES = 4096


def full_after(size_bytes: int) -> str:
    """Returns a prelude after which no file can be written beyond `size_bytes`."""
    return (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size_bytes}, {size_bytes}))\n"
    )


def page_zeroed(number: int) -> Callable[[bytes], bytes]:
    """Returns what zeroes one page of a file."""
    begin = number * PAGE_BYTES

    def spoil(whole: bytes) -> bytes:
        return whole[:begin] + bytes(PAGE_BYTES) + whole[begin + PAGE_BYTES :]

    return spoil


def bytes_changed(seed: int) -> Callable[[bytes], bytes]:
    """Returns what writes 64 bytes over a file, what and where following from `seed`."""

    def spoil(whole: bytes) -> bytes:
        noise = hashlib.sha512(b"%d" % seed).digest()
        begin = int.from_bytes(hashlib.sha256(b"%d" % seed).digest()[:8]) % len(whole)
        return (whole[:begin] + noise + whole[begin + len(noise) :])[: len(whole)]

    return spoil


#: What leaves less than there was.
CUTS: Mapping[str, Callable[[bytes], bytes]] = {
    "nothing is left": lambda _: b"",
    "part of the header is left": lambda whole: whole[:50],
    "the first page is left": lambda whole: whole[:PAGE_BYTES],
    "half is left": lambda whole: whole[: len(whole) // 2],
    "half a page is lost": lambda whole: whole[: -PAGE_BYTES // 2],
    "a byte is lost": lambda whole: whole[:-1],
    "zeroes are left": lambda whole: bytes(len(whole)),
}


def is_untouched(file: Path, before: bytes) -> bool:
    """Whether the file holds what it held, and nothing was begun beside it that would change it."""
    log = file.with_name(f"{file.name}-wal")
    return file.read_bytes() == before and not (log.exists() and log.stat().st_size)
