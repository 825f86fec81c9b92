"""Documents that say what no manifest may say."""

from __future__ import annotations

from tests.corpus.cases import API, CANARY, Case, Place, api, manifest, named, sql


def _twice(place: Place) -> None:
    place.write("manifests/a.yaml", API)
    place.write("manifests/b.yaml", API.replace("crm}", "CRM}").replace("CRM", "crm"))


CASES = (
    Case(row="B058", what="version is a number", prepare=manifest(API.replace("reconciler/v1", "1")), says="E"),
    Case(row="B059", what="version of the future", prepare=manifest(API.replace("/v1", "/v99")), says="E"),
    Case(row="B061", what="unknown field", prepare=api("baseUrll: x"), says="E"),
    Case(row="B062", what="name in two files", prepare=_twice, says="E"),
    *(
        Case(row="B064", what=f"name {name}", prepare=named(name), says="E")
        for name in ("../../x", "a/b", "'..'", "''", "'a b'")
    ),
    *(
        Case(row="B065", what=f"name {name}", prepare=named(name), says="E")
        for name in ("CON", "nul", "com1")
    ),
    Case(row="B067", what="Arabic digits", prepare=sql('port: "\u0665\u0664\u0663\u0662"'), says="E"),
    Case(row="B067", what="bare Arabic digits", prepare=sql("port: \u0665\u0664\u0663\u0662"), says="E"),
    Case(
        row="B073",
        what="secret in its field",
        prepare=api(f"auth: {{method: bearer, token: {CANARY}}}"),
        says="E",
    ),
    Case(
        row="B074",
        what="secret in an unknown field",
        prepare=sql(f"auth: {{method: password, username: a, pasword: {CANARY}}}"),
        says="E",
    ),
    Case(row="B076", what="status", prepare=manifest(f"{API}status: {{phase: ACTIVE}}\n"), says="E"),
    Case(
        row="B076",
        what="uid",
        prepare=manifest(API.replace("{name: crm}", "{name: crm, uid: conn_x, resourceVersion: 1}")),
        says="E",
    ),
)
