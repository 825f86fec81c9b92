from __future__ import annotations

import re
from typing import get_args

import pytest

from reconciler import kinds, validate
from reconciler.auth import oauth2
from reconciler.cli import templates
from reconciler.cli.templates import Wanted
from reconciler.kinds import api_oauth2, engines
from reconciler.manifests import loader
from reconciler.model import Diagnostic, JsonObject
from reconciler.settings import SecretPolicy


def findings(text: str) -> tuple[Diagnostic, ...]:
    documents = loader.load(text.encode(), "new.yaml")
    return validate.validate(documents, SecretPolicy(root="/project")).diagnostics


def methods(kind: str, spec: str) -> set[str]:
    definition: JsonObject = kinds.schema(kind)["$defs"][spec]
    return set(definition["properties"]["auth"]["properties"]["method"]["enum"])


WANTED = [
    *(
        Wanted(kind=templates.API, name="crm", namespace="sales", engine="", auth=method)
        for method in templates.AUTH[templates.API]
    ),
    *(
        Wanted(kind=templates.SQL, name="orders", namespace="hr", engine=engine, auth=method)
        for engine in engines.SERVER_ENGINES
        for method in engines.ENGINES[engine].methods
    ),
    *(
        Wanted(kind=templates.SQL, name="orders", namespace="hr", engine=engine, auth="")
        for engine in engines.FILE_ENGINES
    ),
]


@pytest.mark.parametrize("grant", templates.GRANTS)
def test_every_grant_has_a_valid_manifest(grant: str) -> None:
    wanted = Wanted(
        kind=templates.API, name="crm", namespace="sales", engine="", auth="oauth2", grant=grant
    )
    text = templates.manifest(wanted)
    hinted = text.replace("# clientAuthentication", "clientAuthentication")
    hinted = hinted.replace("# subject", "subject")
    for manifest in (text, hinted):
        warned = ["W211"] if grant == "password" else []
        assert [found.code for found in findings(manifest)] == warned
    assert f"    grant: {grant} " in text
    assert ("reconciler authorize crm" in text) == (grant in api_oauth2.CONSENT_GRANTS)


def test_every_grant_of_the_schema_has_a_row() -> None:
    models = get_args(oauth2.AnyGrant)
    grants = [get_args(model.model_fields["grant"].annotation) for model in models]
    assert sorted(templates.GRANTS) == sorted(grant for (grant,) in grants)


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: f"{wanted.engine}-{wanted.auth}")
def test_every_manifest_is_valid(wanted: Wanted) -> None:
    assert findings(templates.manifest(wanted)) == ()


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: f"{wanted.engine}-{wanted.auth}")
def test_every_manifest_is_valid_with_its_hints_too(wanted: Wanted) -> None:
    text = templates.manifest(wanted)
    assert findings(text.replace("# proxy:", "proxy:")) == ()
    shown = re.sub(r"# (ssh:|      knownHosts)", r"\1", text)
    assert ("ssh: {" in shown) == (wanted.engine not in engines.FILE_ENGINES)
    assert findings(shown) == ()


@pytest.mark.parametrize(
    ("kind", "spec"), [(templates.API, "ApiSpec"), (templates.SQL, "ServerSpec")]
)
def test_every_method_of_the_schema_has_a_row(kind: str, spec: str) -> None:
    assert set(templates.AUTH[kind]) == methods(kind, spec)


def test_sample_is_valid() -> None:
    assert findings(templates.SAMPLE) == ()


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        pytest.param("order-db", "ORDER_DB_TOKEN", id="capitals"),
        pytest.param("7up", "MY_7UP_TOKEN", id="no digit first"),
        pytest.param("python", "MY_PYTHON_TOKEN", id="not one that is refused"),
    ],
)
def test_secret_is_named_after_the_connection(name: str, variable: str) -> None:
    wanted = Wanted(kind=templates.API, name=name, namespace="default", engine="", auth="bearer")
    text = templates.manifest(wanted)
    assert f"token: {{env: {variable}}}" in text
    assert findings(text) == ()
