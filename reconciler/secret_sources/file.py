"""Secrets and public material in files: `{file: path}`.

A path that looks allowed may lead elsewhere through a link, so the file is judged where it really
is, and then opened one component at a time without following links: what was judged is what is
read, even while somebody exchanges files. Links inside the allowed folders are fine; that is how
orchestrators mount secrets.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from reconciler import beneath, paths
from reconciler.errors import SecretError
from reconciler.secret_sources import LONGEST_SECRET_BYTES
from reconciler.settings import SecretPolicy

#: A bundle of certificate authorities is longer than any secret.
_LONGEST_PUBLIC_BYTES = 1024 * 1024

#: Why a file cannot be opened, by errno (open(2)).
_PROBLEMS = {
    errno.ENOENT: "does not exist",
    errno.EACCES: "may not be read by this user",
    errno.EPERM: "may not be read by this user",
    errno.ENOTDIR: "lies below something that is no folder",
    errno.ELOOP: "is a link that changed while it was read, or leads to itself",
    errno.ENAMETOOLONG: "has too long a name",
    errno.ENXIO: "is not a regular file",  # a socket
}


class FileSource:
    """Reads files below the folders of the policy."""

    def __init__(self, policy: SecretPolicy, environment: Mapping[str, str]) -> None:
        _ = environment
        self._policy = policy
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns which of the secret files read so far everybody on this machine can read."""
        return tuple(self._warnings)

    def read(self, argument: str, *, public: bool) -> str:
        """Returns the text of the file at `argument`; a secret loses one trailing newline.

        Editors and `echo` end a file with a newline, and no secret is meant to have it. Relative
        paths are below the project root.

        Raises:
            SecretError: outside the allowed folders, not a regular file, empty, too long, not UTF-8
                or with a NUL.
        """
        name = f"the file {argument}"
        limit = _LONGEST_PUBLIC_BYTES if public else LONGEST_SECRET_BYTES
        try:
            data, mode = self._read_bytes(argument, limit, public=public)
        except OSError as error:
            problem = _PROBLEMS.get(error.errno or 0, "cannot be read")
            raise SecretError(
                f"{name} {problem}", f"put it at {self._policy.absolute(argument)}"
            ) from None
        except ValueError:  # a NUL or a lone surrogate, which no file name can hold
            raise SecretError("the name of the file cannot be one", "correct it") from None
        text = _decode(name, data, limit)
        if public:
            return text
        if mode & stat.S_IROTH:
            self._warnings.append(f"{name} is readable by everybody on this machine: chmod 600")
        text = _without_newline(text)
        if not text:
            raise SecretError(f"{name} is empty", "write the secret into it")
        return text

    def _read_bytes(self, argument: str, limit: int, *, public: bool) -> tuple[bytes, int]:
        """Returns at most `limit` + 1 bytes and the mode; raises OSError, SecretError."""
        real = os.path.realpath(self._policy.absolute(argument), strict=True)
        for folder in map(os.path.realpath, self._policy.folders(public=public)):
            if paths.is_beneath(real, folder):
                break
        else:
            raise SecretError(
                f"the file {argument} is outside the project root and the folders for secrets",
                "keep it below the project root or in /run/secrets; links do not lead out",
            )
        parent, _, name = paths.inside(real, folder).rpartition("/")
        within = beneath.open_folder(folder, parent)
        try:
            descriptor, facts = beneath.open_file(name or ".", folder=within)
        except beneath.NotRegular:
            raise SecretError(f"the file {argument} is not a regular file") from None
        finally:
            os.close(within)
        with open(descriptor, "rb") as file:
            return file.read(limit + 1), facts.st_mode


def _decode(name: str, data: bytes, limit: int) -> str:
    if len(data) > limit:
        raise SecretError(f"{name} is longer than {limit // 1024} KiB", "check the path")
    if not data:
        raise SecretError(f"{name} is empty", "write the secret into it")
    if b"\0" in data:
        raise SecretError(f"{name} has a NUL character", "only text can be a secret")
    try:
        return data.decode()
    except UnicodeDecodeError:  # its `object` is the value
        raise SecretError(f"{name} is not UTF-8", "only text can be a secret") from None


def _without_newline(text: str) -> str:
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")
