"""Secrets in the keyring of the user's desktop: `{keyring: {service, username}}`.

Through the library `keyring`, which speaks to macOS's Keychain and the Secret Service of Linux. A
locked keyring asks its user, who may not be there; so the wait has an end.
"""

from __future__ import annotations

from reconciler.errors import SecretError
from reconciler.model import Json
from reconciler.secret_sources import Access, texts
from reconciler.secret_sources.waiting import in_time

#: Time for a user to unlock the keyring.
_TIMEOUT_S = 60.0


class KeyringSource:
    """Reads entries of the keyring that the library chooses on this machine."""

    #: the desktop looks after it: there is nothing to warn of
    warnings: tuple[str, ...] = ()

    def __init__(self, access: Access) -> None:
        _ = access  # services were judged before; the argument is the Protocol's

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the password of an entry, as it is.

        Raises:
            SecretError: no library, no keyring, no such entry, or it stays locked.
        """
        try:
            import keyring
            from keyring import errors
        except ImportError:
            raise SecretError(
                "the library for keyrings is not installed", 'pip install "reconciler[keyring]"'
            ) from None
        service, username = argument["service"], argument["username"]
        name = f"the entry {service} {username} of the keyring"
        try:
            value = in_time(lambda: keyring.get_password(service, username), _TIMEOUT_S)
        except errors.NoKeyringError:
            raise SecretError(
                "there is no keyring on this machine", "use another source here, such as `file`"
            ) from None
        except TimeoutError:
            raise SecretError(f"{name} is not given in time", "unlock the keyring") from None
        # Backends raise whatever their systems do, and its text may be anything.
        except Exception as error:  # noqa: BLE001
            raise SecretError(f"{name} cannot be read ({type(error).__name__})") from None
        if value is None:
            raise SecretError(
                f"{name} does not exist", "make it: `keyring set`, then service and user name"
            )
        return texts.judged(name, value)
