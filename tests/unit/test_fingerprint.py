"""Keyed hashes of secrets: equal for equal secrets, useless without the key."""

from __future__ import annotations

from dataclasses import replace

from reconciler import fingerprint
from reconciler.model import Endpoint
from reconciler.redact import Secret

KEY = b"k" * 32


def endpoint(**changes: str) -> Endpoint:
    return Endpoint(
        scheme=changes.get("scheme", "postgresql"),
        host=changes.get("host", "db"),
        port=5432,
        text="",
        method="password",
        username=changes.get("username", "report"),
    )


def credential(value: str = "secret", **changes: str) -> str:
    return fingerprint.of_credential(endpoint(**changes), {"/auth/password": Secret(value)}, KEY)


def test_equal_secrets_have_equal_fingerprints() -> None:
    assert fingerprint.of_secret(Secret("a"), KEY) == fingerprint.of_secret(Secret("a"), KEY)


def test_other_secret_or_key_gives_another_fingerprint() -> None:
    values = {
        fingerprint.of_secret(Secret("a"), KEY),
        fingerprint.of_secret(Secret("b"), KEY),
        fingerprint.of_secret(Secret("a"), b"x" * 32),
    }
    assert len(values) == 3


def test_fingerprints_are_sorted_by_pointer_and_name_their_key() -> None:
    made = fingerprint.of_secrets({"/b": Secret("1"), "/a": Secret("2")}, key=KEY, key_id="k1")
    assert [(f.pointer, f.key_id) for f in made] == [("/a", "k1"), ("/b", "k1")]


def test_credential_key_is_shared_by_connections_to_one_account() -> None:
    assert credential() == credential()


def test_credential_key_differs_by_secret_account_and_destination() -> None:
    keys = {
        credential(),
        credential("other"),
        credential(username="admin"),
        credential(host="db2"),
    }
    assert len(keys) == 4


def test_a_credential_is_counted_whatever_its_server_and_its_method_are_called() -> None:
    keys = {credential(), credential(scheme="mysql"), credential(method="ldap")}
    assert len(keys) == 1


def test_parts_cannot_be_shifted_into_one_another() -> None:
    assert credential(username="ab", host="c") != credential(username="a", host="bc")


def test_a_credential_is_counted_whichever_way_leads_to_its_server() -> None:
    secrets = {"/auth/password": Secret("hunter2")}
    hop = {"/ssh/password": Secret("sesame"), "/proxy/auth/password": Secret("open")}
    direct = fingerprint.of_credential(endpoint(), secrets, KEY)
    assert fingerprint.of_credential(endpoint(via="ssh://ops@bastion:22"), secrets, KEY) == direct
    assert fingerprint.of_credential(endpoint(), secrets | hop, KEY) == direct


def test_grant_depends_on_its_text_and_on_every_secret_and_its_place() -> None:
    values = [
        fingerprint.of_grant(text, {place: Secret(value)}, KEY)
        for text in ("a", "b")
        for place in ("/auth/secret", "/auth/key")
        for value in ("x", "y")
    ]
    assert len(set(values)) == 8
    assert fingerprint.of_grant("a", {"/auth/secret": Secret("x")}, KEY) == values[0]


def test_failed_logins_are_counted_where_the_credential_goes() -> None:
    elsewhere = replace(endpoint(), login="https://login.example.com:443")
    secrets = {"/auth/password": Secret("secret")}
    assert fingerprint.of_credential(elsewhere, secrets, KEY) != credential()
    other_api = replace(elsewhere, host="another")
    assert fingerprint.of_credential(elsewhere, secrets, KEY) == fingerprint.of_credential(
        other_api, secrets, KEY
    )
