"""The key file of a Google service account, as connections and sources of secrets read it.

Pure. The fields are those of the JSON that Google gives ("Create and delete service account keys").
What is wrong with a file is said by who read it, since one is named by a manifest and the other by
the operator. Below `service_account` and `secret_sources.gcp`.
"""

from __future__ import annotations

import json

from reconciler.model import Json, JsonObject
from reconciler.redact import Secret
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleKey:
    """What such a file says; of what is missing or no text, an empty text."""

    #: e-mail address of the account
    address: str
    #: PEM text. A redactor has to be told: the file holds it escaped, so that knowing the file is
    #: not knowing the key.
    private_key: Secret
    key_id: str
    #: who gives access tokens for it
    token_uri: str

    @property
    def can_sign(self) -> bool:
        """Whether everything is there that a signed statement needs."""
        return all((self.address, self.private_key.reveal(), self.key_id))


def parse_key(text: str) -> GoogleKey | None:
    """Returns the key in `text`, None where that is no key file of a service account."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):  # the text of a ValueError holds the key
        return None
    if not isinstance(data, dict) or data.get("type") != "service_account":
        return None
    return GoogleKey(
        address=_text(data, "client_email"),
        private_key=Secret(_text(data, "private_key")),
        key_id=_text(data, "private_key_id"),
        token_uri=_text(data, "token_uri"),
    )


def _text(data: JsonObject, name: str) -> str:
    found: Json = data.get(name)
    return found if isinstance(found, str) else ""
