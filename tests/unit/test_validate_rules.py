"""What findings say: messages and hints, rule by rule, and what is left out as a consequence."""

from __future__ import annotations

import pytest

from reconciler.diagnostics import references, rules, trails, wording
from reconciler.manifests import loader
from reconciler.model import Document
from tests import checking

API = """\
apiVersion: reconciler/v1
kind: ApiConnection
metadata: {name: crm}
spec:
  baseUrl: https://crm.example.com
"""


def said(text: str) -> list[str]:
    found = checking.check(text).diagnostics
    return [f"{each.code} {each.message} = {each.hint}" for each in found]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            "tiemout: {}",
            "E104 unknown field `tiemout` = a similar field exists: `timeout`",
            id="similar field",
        ),
        pytest.param(
            "apiurl: a",
            "E104 unknown field `apiurl` = a similar field exists: `baseUrl`",
            id="last word of a field",
        ),
        pytest.param(
            "zzz: a",
            "E104 unknown field `zzz` = fields here: `auth`, `baseUrl`, `deletionPolicy`, "
            "`headers`, `health`, `proxy`, `socket`, `ssh`, `state`, `timeout` and `tls`",
            id="no similar field",
        ),
        pytest.param(
            '"a\\tb": 1',
            "E104 unknown field `a\\tb` = fields here: `auth`, `baseUrl`, `deletionPolicy`, "
            "`headers`, `health`, `proxy`, `socket`, `ssh`, `state`, `timeout` and `tls`",
            id="escaped field",
        ),
        pytest.param(
            "auth: {method: basik}",
            "E106 `spec.auth.method` does not know `basik` = a similar value exists: `basic`",
            id="similar value",
        ),
        pytest.param(
            "auth: {method: zzz}",
            "E106 `spec.auth.method` does not know `zzz` = it is one of `none`, `basic`, "
            "`digest`, `oauth1`, `oauth2`, `awsSigV4`, `bearer`, `apiKey` or `headers`",
            id="value like no other",
        ),
        pytest.param(
            "auth: {method: 'zzz:4711'}",
            "E106 `spec.auth.method` must be one of `none`, `basic`, `digest`, `oauth1`, "
            "`oauth2`, `awsSigV4`, `bearer`, `apiKey` or `headers` = ",
            id="value that may be a credential",
        ),
        pytest.param(
            "health: {interval: 1.0e+3}",
            "E110 `spec.health.interval` is a duration and needs a unit = "
            "write `1000s` or `1000ms`",
            id="number in scientific notation",
        ),
        pytest.param(
            "health: {interval: 2.5}",
            "E110 `spec.health.interval` is a duration and needs a unit = write `2.5s` or `2.5ms`",
            id="number with decimals",
        ),
        pytest.param(
            "tls: {verify: 'yes'}",
            "E105 `spec.tls.verify` must be true or false, not text = ",
            id="text that is no truth value",
        ),
        pytest.param(
            "headers: {Accept: true}",
            "E105 `spec.headers.Accept` must be text, not true or false = put it in quotes",
            id="truth value that is to be text",
        ),
        pytest.param(
            "auth: {method: bearer, token: ~}",
            "E105 `spec.auth.token` must be a reference, not nothing = "
            "write `token: {env: CRM_TOKEN}`",
            id="no reference",
        ),
        pytest.param(
            "auth: {method: bearer, token: {}}",
            "E303 the reference in `spec.auth.token` names no source = "
            "write `token: {env: CRM_TOKEN}`",
            id="reference without a source",
        ),
        pytest.param(
            "auth: {method: bearer, token: {env: A, file: a}}",
            "E303 the reference in `spec.auth.token` has more than one key = "
            "write `token: {env: CRM_TOKEN}`",
            id="reference with two sources",
        ),
        pytest.param(
            "auth: {method: bearer, token: {nowhere: a}}",
            "E303 the reference in `spec.auth.token` names no known source: use `env`, `file`, "
            "`store`, `systemdCredential`, `vault`, `exec`, `keyring`, `age`, `aws`, `gcp` or "
            "`azure` = write `token: {env: CRM_TOKEN}`",
            id="unknown source",
        ),
        pytest.param(
            "auth: {method: bearer, token: {env: 1}}",
            "E303 the reference in `spec.auth.token` must give `env` as text = "
            "write `token: {env: CRM_TOKEN}`",
            id="source that is a number",
        ),
        pytest.param(
            "auth: {method: bearer, token: {vault: a}}",
            "E303 the reference in `spec.auth.token` must give `vault` as a mapping with `path` "
            "and `field` = write `token: {env: CRM_TOKEN}`",
            id="text in place of a mapping",
        ),
        pytest.param(
            "auth: {method: bearer, token: {exec: a}}",
            "E303 the reference in `spec.auth.token` must give `exec` as a list of texts = "
            "write `token: {env: CRM_TOKEN}`",
            id="text in place of a list",
        ),
        pytest.param(
            "auth: {method: bearer, token: {vault: {path: a}}}",
            "E303 the reference in `spec.auth.token` lacks `field` in `vault` = "
            "write `token: {env: CRM_TOKEN}`",
            id="field of a source is missing",
        ),
        pytest.param(
            "auth: {method: bearer, token: {vault: {path: a, field: b, address: c}}}",
            "E303 the reference in `spec.auth.token` has an unknown field in `vault`: it takes "
            "`field`, `mount`, `path` and `version` = write `token: {env: CRM_TOKEN}`",
            id="address of a server",
        ),
        pytest.param(
            "auth: {method: bearer, token: {vault: {path: a/../b, field: c}}}",
            "E303 the reference in `spec.auth.token` is not in the form of `vault` = "
            "write `token: {env: CRM_TOKEN}`",
            id="path that leads up",
        ),
        pytest.param(
            "auth: {method: bearer, token: {env: 'A B'}}",
            "E303 the reference in `spec.auth.token` is not in the form of `env` = "
            "write `token: {env: CRM_TOKEN}`",
            id="no name of a variable",
        ),
        pytest.param(
            "auth: {method: bearer, token: {store: 'A b'}}",
            "E303 the reference in `spec.auth.token` is not in the form of `store` = "
            "write `token: {env: CRM_TOKEN}`",
            id="no name of a stored secret",
        ),
        pytest.param(
            "headers: {'X Team': a}",
            "E118 `X Team` is not a valid key of `spec.headers` = for example `Accept`",
            id="header name",
        ),
        pytest.param(
            "health: {expect: {status: []}}",
            "E111 `spec.health.expect.status` must have at least 1 item, not 0 = ",
            id="empty list",
        ),
    ],
)
def test_finding_says_what_is_wrong_and_what_to_do(lines: str, expected: str) -> None:
    assert said(f"{API}  {lines}\n") == [expected]


def test_of_a_misspelt_required_field_only_the_spelling_is_reported() -> None:
    text = API.replace("baseUrl", "baseURL")
    assert said(text) == ["E104 unknown field `baseURL` = a similar field exists: `baseUrl`"]


def test_required_field_beside_an_unrelated_unknown_one_is_reported_too() -> None:
    text = API.replace("baseUrl", "zzz")
    assert [each[:4] for each in said(text)] == ["E103", "E104"]


def test_nothing_is_said_about_the_inside_of_a_field_that_may_not_be_there() -> None:
    text = (
        "apiVersion: reconciler/v1\nkind: SqlConnection\nmetadata: {name: a}\n"
        "spec: {engine: sqlite, database: a.db, auth: {method: wrong, x: 1}}\n"
    )
    (line,) = said(text)
    assert line == ("E113 `auth` belongs to other engines = delete it, or choose another `engine`")


def test_missing_field_is_written_in_the_hint_by_what_it_is() -> None:
    text = "kind: ApiConnection\nspec: {auth: {method: basic}}\n"
    assert said(text) == [
        "E103 `apiVersion` is required = add `apiVersion: reconciler/v1`",
        "E103 `metadata` is required = add `metadata`",
        "E103 `spec.baseUrl` is required = add `baseUrl: https://api.example.com/v2`",
        "E103 `spec.auth.password` is required = add `password: {env: PASSWORD}`",
        "E103 `spec.auth.username` is required = add `username: report`",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("crm-eu", "CRM_EU_TOKEN", id="words"),
        pytest.param("7-eleven", "ELEVEN_TOKEN", id="digit in front"),
        pytest.param("ß", "SS_TOKEN", id="letter that becomes two"),
        pytest.param("日本", "TOKEN", id="nothing left"),
        pytest.param(7, "TOKEN", id="name is no text"),
    ],
)
def test_environment_name_is_made_of_connection_and_field(name: object, expected: str) -> None:
    assert references.env_name({"metadata": {"name": name}}, "token") == expected


def test_environment_name_without_metadata_is_the_field() -> None:
    assert references.env_name({"metadata": []}, "X-Key") == "X_KEY"


def failure(limit: object, value: object) -> rules.Failure:
    (document,) = (item for item in loader.load(API.encode(), "m") if isinstance(item, Document))
    return rules.Failure(
        path=("spec", "state"),
        limit=limit,
        value=value,
        trail=trails.follow({"minimum": 1}, ()),
        document=document,
        kind="ApiConnection",
    )


@pytest.mark.parametrize(
    ("rule", "limit", "value", "expected"),
    [
        pytest.param(
            "minLength", 2, "a", "`spec.state` must have at least 2 characters, not 1", id="length"
        ),
        pytest.param(
            "maxProperties",
            2,
            {1: 1, 2: 2, 3: 3},
            "`spec.state` must have at most 2 entries, not 3",
            id="properties",
        ),
        pytest.param("minimum", 1, 0, "`spec.state` must be at least 1, not `0`", id="minimum"),
        pytest.param("const", "a", "b", "`spec.state` must be `a`", id="constant"),
        pytest.param("multipleOf", 2, 3, "`spec.state` does not fit the schema", id="other rule"),
        pytest.param(
            "type",
            ["integer", "string"],
            [],
            "`spec.state` must be a whole number or text, not a list",
            id="two types",
        ),
    ],
)
def test_rule_without_a_case_in_the_corpus(
    rule: str, limit: object, value: object, expected: str
) -> None:
    assert [fault.message for fault in rules.explain(rule, failure(limit, value))] == [expected]


def test_upper_bound_alone_is_named() -> None:
    changed = failure(5, 6)
    bounded = trails.follow({"maximum": 5}, ())
    (fault,) = rules.explain(
        "maximum",
        rules.Failure(
            path=changed.path,
            limit=5,
            value=6,
            trail=bounded,
            document=changed.document,
            kind=changed.kind,
        ),
    )
    assert fault.message == "`spec.state` must be at most 5, not `6`"


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("databse", ["database", "host"], "database"),
        ("DATABASE", ["database"], "database"),
        ("url", ["baseUrl"], "baseUrl"),
        ("connection", ["ApiConnection", "SqlConnection"], "SqlConnection"),
        ("zzz", ["database"], ""),
        ("x" * 100_000, ["database"], ""),
    ],
)
def test_similar_word(word: str, known: list[str], expected: str) -> None:
    assert wording.similar(word, known) == expected


def test_field_is_written_as_people_do() -> None:
    assert wording.field(("metadata", "tags", 1, "a\nb")) == "metadata.tags[1].a\\nb"


def test_pattern_without_an_example_gives_no_hint() -> None:
    (fault,) = rules.explain("pattern", failure("^a$", "b"))
    assert (fault.message, fault.hint) == ("`spec.state` has the wrong form", "")


def test_missing_field_without_a_schema_is_only_named() -> None:
    (fault,) = rules.explain("required", failure(["a"], {}))
    assert fault.hint == "add `a`"
