"""Secrets that the operator file names for the sources themselves, such as a token of Vault.

They are read like those of manifests and are redacted like them, but from wherever the operator
says: whoever writes that file is trusted with this machine.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.model import JsonObject
from reconciler.secret_sources import Access, SecretSource, env, file
from reconciler.settings import SecretPolicy

#: Every file is allowed; only `SecretPolicy.denial` keeps variables back, and it is not asked.
_EVERYWHERE = SecretPolicy(root="/")


def read(reference: JsonObject, access: Access, warnings: list[str]) -> str:
    """Returns the value of `reference`, `{env: NAME}` or `{file: path}`, known to the redactor.

    What is risky about it is added to `warnings`.

    Raises:
        SecretError: it cannot be read.
    """
    ((name, argument),) = reference.items()
    make = env.EnvSource if name == "env" else file.FileSource
    source: SecretSource = make(replace(access, policy=_EVERYWHERE))
    value = source.read(argument, public=False)
    access.redactor.add(value)
    warnings += (text for text in source.warnings if text not in warnings)
    return value


def read_public(path: str, access: Access) -> str:
    """Returns the text of the file at the absolute `path`, or `""` where there is no path.

    Raises:
        SecretError: it cannot be read.
    """
    if not path:
        return ""
    return file.FileSource(replace(access, policy=_EVERYWHERE)).read(path, public=True)
