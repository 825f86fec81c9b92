from __future__ import annotations

from copy import deepcopy

import pytest

from reconciler import kinds
from reconciler.kinds import engines
from reconciler.kinds.shape import Choice, Shape
from reconciler.model import JsonObject, Path

API = kinds.shape("ApiConnection")
SQL = kinds.shape("SqlConnection")


def test_every_default_of_an_api_is_filled_in() -> None:
    manifest = {
        "apiVersion": "reconciler/v1",
        "kind": "ApiConnection",
        "metadata": {"name": "crm"},
        "spec": {"baseUrl": "https://api.example.com"},
    }
    assert API.normalise(manifest) == {
        "apiVersion": "reconciler/v1",
        "kind": "ApiConnection",
        "metadata": {
            "name": "crm",
            "namespace": "default",
            "labels": {},
            "tags": [],
            "annotations": {},
            "previousNames": [],
        },
        "spec": {
            "state": "active",
            "deletionPolicy": "archive",
            "baseUrl": "https://api.example.com",
            "auth": {"method": "none"},
            "headers": {},
            "timeout": {"connect": "5s", "total": "30s"},
            "tls": {"verify": True, "minimumVersion": "1.2"},
            "health": {
                "interval": "5m",
                "timeout": "10s",
                "failureThreshold": 1,
                "successThreshold": 1,
                "suspendAfter": 5,
                "method": "GET",
                "path": "",
                "expect": {"status": ["200-299"], "json": {}},
            },
        },
    }


def test_every_default_of_a_server_is_filled_in() -> None:
    manifest = {"spec": {"engine": "mariadb", "host": "db", "database": "orders"}}
    assert SQL.normalise(manifest)["spec"] == {
        "state": "active",
        "deletionPolicy": "archive",
        "engine": "mariadb",
        "host": "db",
        "port": 3306,
        "database": "orders",
        "auth": {"method": "none"},
        "tls": {"mode": "verify-full"},
        "timeout": {"connect": "5s", "query": "30s"},
        "pool": {"size": 5, "maxOverflow": 10},
        "health": {
            "interval": "5m",
            "timeout": "10s",
            "failureThreshold": 1,
            "successThreshold": 1,
            "suspendAfter": 5,
            "query": "select 1",
        },
    }


def test_a_file_gets_no_default_of_a_server() -> None:
    normal = SQL.normalise({"spec": {"engine": "duckdb", "database": "a.duckdb"}})["spec"]
    assert sorted(normal) == [
        "database",
        "deletionPolicy",
        "engine",
        "health",
        "pool",
        "state",
        "timeout",
    ]


def test_a_default_of_the_chosen_method_is_filled_in() -> None:
    auth = {"method": "apiKey", "name": "X-Api-Key", "value": {"env": "KEY"}}
    normal = API.normalise({"spec": {"baseUrl": "https://api.example.com", "auth": auth}})
    assert normal["spec"]["auth"] == {**auth, "in": "header"}


def test_what_says_the_same_has_the_same_normal_form() -> None:
    first = {"engine": "postgresql", "host": "db", "database": "a", "port": 5432.0}
    second = {
        "engine": "postgresql",
        "host": "db",
        "database": "a",
        "timeout": {"connect": "5000ms"},
    }
    assert SQL.normalise({"spec": first}) == SQL.normalise({"spec": second})
    assert isinstance(SQL.normalise({"spec": first})["spec"]["port"], int)


def test_integral_numbers_become_integers_inside_lists() -> None:
    health = {"expect": {"status": [204.0, "200-299"]}}
    normal = API.normalise({"spec": {"baseUrl": "https://a", "health": health}})
    assert repr(normal["spec"]["health"]["expect"]["status"]) == "[204, '200-299']"


@pytest.mark.parametrize(
    "spec",
    [
        {"baseUrl": 1, "auth": {"method": ["none"]}, "timeout": {"total": 30}},
        {"auth": "x", "health": None, "tls": {"verify": None}, "gone": {"since": "v2"}},
        {"health": {"expect": {"status": "200", "json": []}}},
    ],
)
def test_what_does_not_fit_stays_as_it_is(spec: dict[str, object]) -> None:
    normal = API.normalise({"spec": spec})
    assert {key: normal["spec"][key] for key in ("baseUrl", "auth", "gone") if key in spec} == {
        key: spec[key] for key in ("baseUrl", "auth", "gone") if key in spec
    }
    assert API.normalise(normal) == normal


def test_a_manifest_without_a_spec_gets_none() -> None:
    assert API.normalise({"kind": "ApiConnection"}) == {"kind": "ApiConnection"}


@pytest.mark.parametrize(
    ("auth", "secrets"),
    [
        ({"method": "none"}, ()),
        ({"method": "bearer", "token": {"env": "A"}}, (("/auth/token", {"env": "A"}),)),
        (
            {"method": "headers", "headers": {"X-B": {"env": "B"}, "X-A": {"file": "a"}}},
            (("/auth/headers/X-A", {"file": "a"}), ("/auth/headers/X-B", {"env": "B"})),
        ),
        (
            {"method": "headers", "headers": {"a~b": {"env": "A"}}},
            (("/auth/headers/a~0b", {"env": "A"}),),
        ),
        ({"method": "bearer"}, ()),
        ({"method": "nosuch", "token": {"env": "A"}}, ()),
        ("text", ()),
    ],
)
def test_secrets_are_found_by_their_pointers(
    auth: object, secrets: tuple[tuple[str, JsonObject], ...]
) -> None:
    assert API.secrets({"auth": auth}) == secrets


def test_the_password_of_a_server_is_a_secret() -> None:
    auth = {"method": "password", "username": "a", "password": {"env": "A"}}
    spec = {"engine": "postgresql", "auth": auth, "tls": {"ca": {"file": "ca.pem"}}}
    assert SQL.secrets(spec) == (("/auth/password", {"env": "A"}),)


def test_public_material_is_found_apart_from_secrets() -> None:
    spec = {"engine": "postgresql", "tls": {"ca": {"file": "ca.pem"}}}
    assert SQL.publics(spec) == (("/tls/ca", {"file": "ca.pem"}),)
    assert SQL.secrets(spec) == ()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("kind",), True),
        (("metadata", "name"), True),
        (("metadata", "labels", "team"), True),
        (("metadata", "tags", 0), True),
        (("metadata", "annotations", "a"), False),
        (("spec", "state"), True),
        (("spec", "baseUrl"), False),
        (("spec", "headers", "Accept"), False),
        (("spec", "auth", "method"), True),
        (("spec", "auth", "username"), True),
        (("spec", "auth", "token"), False),
        (("spec", "auth", "token", "env"), False),
        (("spec", "auth", "headers", "X-A"), False),
        (("spec", "auth", "nosuch"), False),
        (("spec", "nosuch"), False),
        (("spec", "tls", "ca", "file"), True),
        (("spec", "health", "path"), False),
        (("spec", "health", "interval"), True),
        (("spec", "health", "expect", "status", 0), True),
        (("spec", "health", "expect", "json", "/a"), False),
        (("spec", "health", "expect", "text"), False),
        (("spec", "state", "deeper"), False),
        (("spec", "state", 0), False),
    ],
)
def test_only_known_fields_without_secrets_are_plain(path: Path, expected: bool) -> None:
    assert API.is_plain(path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [(("spec", "engine"), True), (("spec", "port"), True), (("spec", "host"), False)],
)
def test_fields_of_a_branch_are_plain_whatever_is_chosen(path: Path, expected: bool) -> None:
    assert SQL.is_plain(path) is expected


def test_known_fields_are_those_of_the_chosen_branch() -> None:
    data = {"spec": {"engine": "sqlite"}}
    assert SQL.known_fields(("spec",), data) == (
        "database",
        "deletionPolicy",
        "engine",
        "health",
        "pool",
        "state",
        "timeout",
    )


def test_without_a_choice_only_the_discriminator_is_known() -> None:
    assert SQL.known_fields(("spec",), {"spec": {"engine": ["a"]}}) == ("engine",)
    assert SQL.known_fields(("spec",), {}) == ("engine",)


def test_a_map_knows_no_fields() -> None:
    assert API.known_fields(("metadata", "labels"), {"metadata": {"labels": {}}}) == ()


def test_known_fields_are_found_deep_inside_a_branch() -> None:
    data = {"spec": {"engine": "mysql", "auth": {"method": "password"}}}
    assert SQL.known_fields(("spec", "auth", "password"), data) == (
        "age",
        "aws",
        "azure",
        "env",
        "exec",
        "file",
        "gcp",
        "keyring",
        "store",
        "systemdCredential",
        "vault",
    )
    assert SQL.known_fields(("spec", "pool"), data) == ("maxOverflow", "size")


def test_a_field_of_another_method_says_which() -> None:
    data = {"spec": {"auth": {"method": "bearer", "username": "a"}}}
    others = API.fields_of_other_branches(("spec", "auth"), data)
    assert others["in"] == Choice(field="method", values=("apiKey",))
    assert others["password"] == Choice(field="method", values=("basic", "digest", "oauth2"))
    assert not others.keys() & {"method", "token", "header", "prefix"}


def test_a_field_deeper_in_another_branch_says_the_first_choice() -> None:
    data = {"spec": {"auth": {"method": "bearer"}}}
    others = API.fields_of_other_branches(("spec", "auth"), data)
    assert others["tokenUrl"] == Choice(field="method", values=("oauth2",))


def test_a_field_of_another_grant_says_which() -> None:
    data = {"spec": {"auth": {"method": "oauth2", "grant": "clientCredentials"}}}
    others = API.fields_of_other_branches(("spec", "auth"), data)
    assert others["deviceUrl"] == Choice(field="grant", values=("deviceCode",))


def test_a_field_of_other_engines_says_which() -> None:
    servers = Choice(field="engine", values=engines.SERVER_ENGINES)
    data = {"spec": {"engine": "sqlite", "host": "db"}}
    assert SQL.fields_of_other_branches(("spec",), data) == {
        "auth": servers,
        "host": servers,
        "options": servers,
        "port": servers,
        "proxy": servers,
        "socket": servers,
        "ssh": servers,
        "tls": servers,
    }


def test_where_there_is_no_choice_no_other_branch_has_fields() -> None:
    assert API.fields_of_other_branches(("metadata",), {"metadata": {}}) == {}


def test_entries_of_a_map_are_brought_into_normal_form() -> None:
    duration = {"type": "string", "x-duration": True}
    limits = {"type": "object", "additionalProperties": duration}
    shape = Shape({"properties": {"spec": {"properties": {"limits": limits}}}})
    assert shape.normalise({"spec": {"limits": {"a": "60s", "b": 1}}}) == {
        "spec": {"limits": {"a": "1m", "b": 1}}
    }
    assert shape.normalise({"spec": {"limits": "60s"}}) == {"spec": {"limits": "60s"}}


def test_a_schema_that_asks_for_nothing_changes_nothing() -> None:
    shape = Shape({"properties": {"spec": {"type": "object"}}})
    assert shape.normalise({"spec": {"a": 1}}) == {"spec": {"a": 1}}
    assert shape.secrets({"a": {"env": "A"}}) == ()


def test_a_default_that_a_release_adds_is_nothing_that_anybody_wrote() -> None:
    older_schema = deepcopy(kinds.schema("ApiConnection"))
    del older_schema["$defs"]["ApiTls"]["properties"]["minimumVersion"]
    del older_schema["$defs"]["ApiHealth"]["properties"]["interval"]
    older = Shape(older_schema)
    manifest = {
        "metadata": {"name": "crm", "namespace": "default"},
        "spec": {
            "baseUrl": "https://api.example.com",
            "auth": {"method": "none"},
            "tls": {"verify": False},
            "health": {"expect": {"status": ["200-299", 404]}},
        },
    }
    before, after = older.normalise(manifest), API.normalise(manifest)
    assert before != after
    assert older.sparse(before) == API.sparse(after)
    assert API.sparse(after) == {
        "metadata": {"name": "crm"},
        "spec": {
            "baseUrl": "https://api.example.com",
            "tls": {"verify": False},
            "health": {"expect": {"status": ["200-299", 404]}},
        },
    }
