from __future__ import annotations

import pytest

from reconciler.model import Json
from reconciler.report import words


@pytest.mark.parametrize(
    ("pointer", "name"),
    [
        pytest.param("/spec/port", "port", id="of the spec"),
        pytest.param("/spec/auth/password", "auth.password", id="inside"),
        pytest.param("/spec", "spec", id="the whole spec"),
        pytest.param("/metadata/labels/team", "metadata.labels.team", id="of the metadata"),
        pytest.param("/metadata", "metadata", id="the whole metadata"),
        pytest.param(
            "/metadata/annotations/example.com~1ticket",
            'metadata.annotations["example.com/ticket"]',
            id="key with a dot and a slash",
        ),
        pytest.param("/spec/auth/headers/X-Key~0", 'auth.headers["X-Key~"]', id="key with a tilde"),
        pytest.param("/spec/headers/X-Team", "headers.X-Team", id="key with a dash"),
        pytest.param('/spec/a/"\x1b', r'a["\"\u001b"]', id="control character"),
        pytest.param("", "", id="root"),
    ],
)
def test_field_is_named_as_people_write_it(pointer: str, name: str) -> None:
    assert words.field_name(pointer) == name


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param({"env": "ORDERS"}, "env ORDERS", id="reference"),
        pytest.param(
            {"mode": "verify-full", "ca": {"file": "/a b"}},
            "ca file /a b, mode verify-full",
            id="nested",
        ),
        pytest.param({"verify": True, "codes": [1, 2]}, "codes [1,2], verify true", id="no text"),
        pytest.param({}, "", id="empty"),
        pytest.param("a\x1b[31m", r"a\x1b[31m", id="control character"),
    ],
)
def test_json_is_shown_without_its_syntax(data: Json, text: str) -> None:
    assert words.plain(data) == text


@pytest.mark.parametrize(
    ("reason", "message", "text"),
    [
        pytest.param("DnsFailure", "no such host", "no such host [DnsFailure]", id="both"),
        pytest.param("DnsFailure", "", "DnsFailure", id="reason alone"),
        pytest.param("", "no such host", "no such host", id="message alone"),
        pytest.param("Ok", "200 OK", "200 OK", id="all is well"),
        pytest.param("Ok", "", "", id="nothing to say"),
        pytest.param(
            "Applied", "no connection of this name is recorded", "Applied", id="evident message"
        ),
        pytest.param("a\nb", "c\x1b", r"c\x1b [a b]", id="foreign text"),
    ],
)
def test_message_comes_before_its_reason(reason: str, message: str, text: str) -> None:
    assert words.explained(reason, message) == text
