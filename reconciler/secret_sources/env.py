"""Secrets in environment variables: `{env: NAME}`.

Reads the snapshot that was taken at the top, so that one run sees one environment, whatever a
library does to the process's own. Which names are allowed is the policy's business.
"""

from __future__ import annotations

from reconciler.errors import SecretError
from reconciler.model import Json
from reconciler.secret_sources import LONGEST_SECRET_BYTES, Access


class EnvSource:
    """Reads environment variables, as they are: nothing is expanded, nothing stripped."""

    #: the environment of a process is its owner's alone: there is nothing to warn of
    warnings: tuple[str, ...] = ()

    def __init__(self, access: Access) -> None:
        self._environment = access.environment

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the value of the variable called `argument`.

        Raises:
            SecretError: not set, empty, longer than 64 KiB or not UTF-8.
        """
        value = self._environment.get(argument)
        if value is None:
            raise SecretError(
                f"the environment variable {argument} is not set",
                f"set {argument} where this command runs",
            )
        if not value:
            raise SecretError(
                f"the environment variable {argument} is empty",
                f"give {argument} its value; an empty secret is never sent",
            )
        try:
            size = len(value.encode())
        except UnicodeEncodeError:  # its `object` is the value
            raise SecretError(f"the environment variable {argument} is not UTF-8") from None
        if size > LONGEST_SECRET_BYTES:
            raise SecretError(f"the environment variable {argument} is longer than 64 KiB")
        return value
