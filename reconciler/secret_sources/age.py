"""Secrets in files encrypted with age: `{age: {file}}`.

Such a file may lie in git beside the manifest. The identities that open it are named by the
operator file. Format and identities as in age-encryption.org/v1; passphrases are not supported,
since nobody is there to type them.
"""

from __future__ import annotations

from typing import Any

from reconciler.errors import SecretError
from reconciler.model import Json
from reconciler.secret_sources import LONGEST_SECRET_BYTES, Access, file, operators, texts

#: Header and armour of a file to many recipients take room besides the secret.
_LONGEST_FILE_BYTES = 4 * LONGEST_SECRET_BYTES
_IDENTITY = "AGE-SECRET-KEY-1"


class AgeSource:
    """Decrypts files below the folders of the policy."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns which of the operator's own secret files everybody can read."""
        return tuple(self._warnings)

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the text in the file `argument["file"]`, without one trailing newline.

        Raises:
            SecretError: as for files; no library; no identity opens it.
        """
        try:
            import pyrage  # type: ignore[import-untyped]
        except ImportError:
            raise SecretError(
                "the library for age is not installed", 'pip install "reconciler[age]"'
            ) from None
        path = argument["file"]
        name = f"the file {path}"
        sealed, _ = file.read_bytes(path, self._access.policy, limit=_LONGEST_FILE_BYTES)
        if len(sealed) > _LONGEST_FILE_BYTES:
            raise SecretError(f"{name} is longer than {_LONGEST_FILE_BYTES // 1024} KiB")
        try:
            data = pyrage.decrypt(sealed, self._identities(pyrage))
        except pyrage.DecryptError:
            raise SecretError(
                f"{name} is not opened by any identity of the operator file, or is damaged",
                "encrypt it for one of them",
            ) from None
        what = f"the text in {path}"
        return texts.filled(what, texts.without_newline(texts.decoded(what, data)))

    def _identities(self, pyrage: Any) -> list[Any]:
        """Returns the identities in all identity files; comments and empty lines are left out."""
        operator = self._access.policy.operator
        assert operator is not None  # the policy was asked before
        found = []
        for path in operator.age_identities:
            text = operators.read({"file": path}, self._access, self._warnings)
            lines = [line.strip() for line in text.splitlines()]
            for line in (line for line in lines if line.startswith(_IDENTITY)):
                self._access.redactor.add(line)
                try:
                    found.append(pyrage.x25519.Identity.from_str(line))
                except pyrage.IdentityError:
                    raise SecretError(f"{path} holds an identity that is damaged") from None
        if not found:
            raise SecretError(
                "the files of `secrets.age.identities` hold no identity",
                "a line of one begins with AGE-SECRET-KEY-1",
            )
        return found
