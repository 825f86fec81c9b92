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

from reconciler import beneath, paths
from reconciler.errors import SecretError
from reconciler.model import Json
from reconciler.secret_sources import LONGEST_SECRET_BYTES, Access, texts
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

    def __init__(self, access: Access) -> None:
        self._policy = access.policy
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns which of the secret files read so far everybody on this machine can read."""
        return tuple(self._warnings)

    def read(self, argument: Json, *, public: bool) -> str:
        """Returns the text of the file at `argument`; a secret loses one trailing newline.

        Editors and `echo` end a file with a newline, and no secret is meant to have it. Relative
        paths are below the project root.

        Raises:
            SecretError: outside the allowed folders, not a regular file, empty, too long, not UTF-8
                or with a NUL.
        """
        name = f"the file {argument}"
        limit = _LONGEST_PUBLIC_BYTES if public else LONGEST_SECRET_BYTES
        data, mode = read_bytes(argument, self._policy, limit=limit, public=public)
        text = texts.decoded(name, data, limit)
        if public:
            return text
        if mode & stat.S_IROTH:
            self._warnings.append(f"{name} is readable by everybody on this machine: chmod 600")
        return texts.filled(name, texts.without_newline(text))


def read_bytes(
    path: str, policy: SecretPolicy, *, limit: int, public: bool = False
) -> tuple[bytes, int]:
    """Returns the content of the file at `path`, at most `limit` + 1 bytes, and its mode.

    Raises:
        SecretError: outside the folders of `policy`, not a regular file, or it cannot be read.
    """
    name = f"the file {path}"
    try:
        real = os.path.realpath(policy.absolute(path), strict=True)
        folder = _folder_of(real, policy.folders(public=public))
        if folder is None:
            raise SecretError(
                f"{name} is outside the project root and the folders for secrets",
                "keep it below the project root or in /run/secrets; links do not lead out",
            )
        return _read_beneath(folder, paths.inside(real, folder), limit)
    except beneath.NotRegular:
        raise SecretError(f"{name} is not a regular file") from None
    except OSError as error:
        problem = _PROBLEMS.get(error.errno or 0, "cannot be read")
        raise SecretError(f"{name} {problem}", f"put it at {policy.absolute(path)}") from None
    except ValueError:  # a NUL or a lone surrogate, which no file name can hold
        raise SecretError("the name of the file cannot be one", "correct it") from None


def _folder_of(real: str, folders: tuple[str, ...]) -> str | None:
    resolved = map(os.path.realpath, folders)
    return next((folder for folder in resolved if paths.is_beneath(real, folder)), None)


def _read_beneath(folder: str, inside: str, limit: int) -> tuple[bytes, int]:
    parent, _, name = inside.rpartition("/")
    within = beneath.open_folder(folder, parent)
    try:
        descriptor, facts = beneath.open_file(name or ".", folder=within)
    finally:
        os.close(within)
    with open(descriptor, "rb") as file:
        return file.read(limit + 1), facts.st_mode
