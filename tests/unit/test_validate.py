"""The stage: from documents to resources, and which findings stand beside the schema's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import settings, validate
from reconciler.diagnostics import schema_errors
from reconciler.manifests import loader
from reconciler.model import (
    Diagnostic,
    Document,
    Excerpt,
    Location,
    Ref,
    Resource,
    Severity,
    canonical,
)
from tests import checking

SQLITE = """\
apiVersion: reconciler/v1
kind: SqlConnection
metadata: {name: NAME}
spec: {engine: sqlite, database: data/cache.sqlite, timeout: {query: 90s}}
"""

API = """\
apiVersion: reconciler/v1
kind: ApiConnection
metadata: {name: crm}
spec:
  baseUrl: https://crm.example.com
  auth: {method: bearer, token: TOKEN}
"""


def sqlite(name: str) -> str:
    return SQLITE.replace("NAME", name)


def test_resource_is_the_manifest_in_normal_form() -> None:
    manifest = {
        "metadata": {
            "name": "cache",
            "namespace": "default",
            "labels": {},
            "tags": [],
            "annotations": {},
            "previousNames": [],
        },
        "spec": {
            "state": "active",
            "deletionPolicy": "archive",
            "engine": "sqlite",
            "database": "data/cache.sqlite",
            "timeout": {"connect": "5s", "query": "90s"},
            "pool": {"size": 5, "maxOverflow": 10},
            "health": {
                "interval": "5m",
                "timeout": "10s",
                "failureThreshold": 1,
                "successThreshold": 1,
                "suspendAfter": 5,
                "query": "select 1",
            },
        },
    }
    resource = Resource(
        ref=Ref(kind="SqlConnection", namespace="default", name="cache"),
        manifest=manifest,
        text=canonical(manifest),
        digest=validate.digest(canonical(manifest)),
        access_digest=validate.access_digest("SqlConnection", manifest["spec"]),
        location=Location(path="m.yaml", line=1, column=1),
    )
    assert checking.check(sqlite("cache")) == validate.Validated(
        resources=(resource,), diagnostics=(), documents=1
    )


def test_digest_is_that_of_the_canonical_text() -> None:
    # printf '{"metadata":{"name":"ä"},"spec":{"a":1,"b":[]}}' | sha256sum
    assert (
        validate.digest(canonical({"spec": {"b": [], "a": 1}, "metadata": {"name": "ä"}}))
        == "90754cfa9c1287f0c1892481a5fb6e28bb474898957f36aa18e0b4c9a3b603cf"
    )


def test_access_digest_ignores_what_does_not_decide_where_we_connect() -> None:
    quick = {"engine": "sqlite", "database": "a", "health": {"timeout": "1s"}}
    slow = {"engine": "sqlite", "database": "a", "health": {"timeout": "9s"}}
    assert validate.access_digest("SqlConnection", quick) == validate.access_digest(
        "SqlConnection", slow
    )


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        pytest.param("SqlConnection", {"engine": "duckdb", "database": "a"}, id="other engine"),
        pytest.param("SqlConnection", {"engine": "sqlite", "database": "b"}, id="other file"),
        pytest.param("ApiConnection", {"engine": "sqlite", "database": "a"}, id="other kind"),
    ],
)
def test_access_digest_changes_with_the_destination(kind: str, spec: dict[str, str]) -> None:
    known = validate.access_digest("SqlConnection", {"engine": "sqlite", "database": "a"})
    assert validate.access_digest(kind, spec) != known


def test_default_that_is_written_out_changes_no_digest() -> None:
    short = "apiVersion: reconciler/v1\nkind: SqlConnection\nmetadata: {name: a}\n"
    brief = short + "spec: {engine: mysql, host: db, database: d}\n"
    long = (
        short
        + "spec: {host: db, engine: mysql, database: d, port: 3306, timeout: {query: 30000ms}}"
    )
    one, two = (checking.check(text).resources[0] for text in (brief, long))
    assert (one.digest, one.access_digest) == (two.digest, two.access_digest)


def test_resources_are_sorted_by_ref_and_findings_by_place() -> None:
    texts = [sqlite("b"), sqlite("B_"), sqlite("a"), sqlite("A_")]
    found = checking.check(*texts)
    assert [resource.ref.name for resource in found.resources] == ["a", "b"]
    assert [str(finding.location) for finding in found.diagnostics] == [
        "m2.yaml:3:18",
        "m4.yaml:3:18",
    ]


def test_warning_leaves_the_resource() -> None:
    found = checking.check(API.replace("TOKEN", "{env: A}").replace("https", "http"))
    assert [finding.severity for finding in found.diagnostics] == [Severity.WARNING]
    assert len(found.resources) == 1
    assert not found.has_errors


def test_finding_of_the_loader_is_kept_and_its_document_not_counted() -> None:
    found = checking.check(sqlite("a"), "- list\n")
    assert checking.concise(found.diagnostics) == (
        "m2.yaml:1:1: E019 the document is not a mapping\n"
    )
    assert (found.documents, len(found.resources)) == (1, 1)


def test_refused_reference_is_reported_with_what_to_do() -> None:
    (finding,) = checking.check(API.replace("TOKEN", "{env: LD_PRELOAD}")).diagnostics
    assert finding == Diagnostic(
        severity=Severity.ERROR,
        code="E302",
        location=Location(path="m.yaml", line=6, column=39),
        pointer="/spec/auth/token/env",
        message=(
            "the reference is refused: the environment variable LD_PRELOAD is never given to a "
            "connection"
        ),
        hint="give the value to the program under another name",
        excerpt=Excerpt(text="  auth: {method: bearer, token: {env: ***}}", column=39, length=3),
    )


def test_policy_narrows_which_references_are_allowed() -> None:
    policy = settings.SecretPolicy(root="/project", env_allow=("CRM_*",), file_allow=("secrets",))
    texts = ("{env: CRM_TOKEN}", "{env: HR_TOKEN}", "{file: secrets/a}", "{file: a}")
    codes = [
        [
            each.code
            for each in checking.check(API.replace("TOKEN", text, 1), policy=policy).diagnostics
        ]
        for text in texts
    ]
    assert codes == [[], ["E302"], [], ["E302"]]


def test_public_material_may_lie_where_secrets_may_not() -> None:
    text = API.replace("TOKEN", "{file: /etc/ssl/token}") + "  tls: {ca: {file: /etc/ssl/ca.pem}}\n"
    assert checking.concise(checking.check(text).diagnostics) == (
        "m.yaml:6:40: E302 the reference is refused: the file is outside the project root and the "
        "folders for secrets\n"
    )


def test_reference_under_a_key_with_a_slash_is_found() -> None:
    text = API.replace(
        "{method: bearer, token: TOKEN}", '{method: headers, headers: {"X~Y": {env: PATH}}}'
    )
    (finding,) = checking.check(text).diagnostics
    assert finding.pointer == "/spec/auth/headers/X~0Y/env"


def test_document_that_only_one_library_refuses_is_still_an_error() -> None:
    (document,) = loader.load(sqlite("a").encode(), "m.yaml")
    assert isinstance(document, Document)
    assert schema_errors.explain(document, "SqlConnection") == (
        Diagnostic(
            severity=Severity.ERROR,
            code="E109",
            location=Location(path="m.yaml", line=1, column=1),
            pointer="",
            message="the document does not fit the schema",
        ),
    )


def test_valid_manifests_are_checked_without_the_slow_libraries() -> None:
    program = (
        "import sys; from tests import checking; checking.check(sys.argv[1]);"
        "print(*sorted({'jsonschema', 'pydantic', 'difflib', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sqlite("a")],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parent.parent.parent,
        text=True,
    )
    assert done.stdout == "\n"
