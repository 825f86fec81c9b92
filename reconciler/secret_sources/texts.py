"""What a source brought, judged: a secret is text, not empty, and not too long.

One place for the rules, so that a value is accepted or refused whichever source it came from.
"""

from __future__ import annotations

import json

from reconciler.errors import SecretError
from reconciler.secret_sources import LONGEST_SECRET_BYTES


def decoded(name: str, data: bytes, limit: int = LONGEST_SECRET_BYTES) -> str:
    """Returns `data` as text; `name` says in messages where it came from.

    Raises:
        SecretError: longer than `limit`, empty, not UTF-8 or with a NUL.
    """
    if len(data) > limit:
        raise SecretError(f"{name} is longer than {limit // 1024} KiB", "check the reference")
    if b"\0" in data:
        raise SecretError(f"{name} has a NUL character", "only text can be a secret")
    try:
        text = data.decode()
    except UnicodeDecodeError:  # its `object` is the value
        raise SecretError(f"{name} is not UTF-8", "only text can be a secret") from None
    return filled(name, text)


def filled(name: str, text: str) -> str:
    """Returns `text`.

    Raises:
        SecretError: it is empty; an empty secret is never sent.
    """
    if not text:
        raise SecretError(f"{name} is empty", "write the secret into it")
    return text


def judged(name: str, text: str) -> str:
    """Returns `text` that another system gave as text.

    Raises:
        SecretError: as in `decoded`.
    """
    return decoded(name, text.encode(errors="surrogatepass"))


def without_newline(text: str) -> str:
    """Returns `text` without one newline at its end, which editors and `echo` put there."""
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def entry(name: str, text: str, key: str) -> str:
    """Returns the text under `key` of a JSON object.

    Raises:
        SecretError: it is no JSON object, or has no such text.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # the text of a ValueError holds the value
        document = None
    if not isinstance(document, dict):
        raise SecretError(f"{name} is no JSON object", "leave out the key to have all of it")
    if not isinstance(document.get(key), str):
        raise SecretError(f"{name} has no text under the key of the reference", "check the key")
    return judged(name, document[key])
