"""Credentials that systemd gives a service: `{systemdCredential: NAME}`.

`LoadCredential=` and its kin put each into a file of its own below `$CREDENTIALS_DIRECTORY`, which
only the service can read (systemd.exec(5), "Credentials").
"""

from __future__ import annotations

from reconciler.errors import SecretError
from reconciler.model import Json
from reconciler.secret_sources import LONGEST_SECRET_BYTES, Access, file, texts
from reconciler.settings import SecretPolicy


class SystemdSource:
    """Reads the files below `$CREDENTIALS_DIRECTORY`."""

    #: nobody but the service can read them: there is nothing to warn of
    warnings: tuple[str, ...] = ()

    def __init__(self, access: Access) -> None:
        self._folder = access.policy.credentials_directory

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the credential called `argument`, without one trailing newline.

        Raises:
            SecretError: this is no service of systemd, or as for files.
        """
        if not self._folder:
            raise SecretError(
                "there are no credentials of systemd here: CREDENTIALS_DIRECTORY is not set",
                f"run this as a service with `LoadCredential={argument}:...`",
            )
        policy = SecretPolicy(root=self._folder)
        data, _ = file.read_bytes(str(argument), policy, limit=LONGEST_SECRET_BYTES)
        name = f"the credential {argument}"
        return texts.filled(name, texts.without_newline(texts.decoded(name, data)))
