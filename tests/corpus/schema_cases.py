"""Documents that say what no manifest may say."""

from __future__ import annotations

from tests.corpus.cases import API, CANARY, Case, Place, api, manifest, named, sql


def _twice(place: Place) -> None:
    place.write("manifests/a.yaml", API)
    place.write("manifests/b.yaml", API)


CASES = (
    Case(
        row="B058",
        what="version that is a number",
        prepare=manifest(API.replace("reconciler/v1", "1")),
        says="E105]: `apiVersion` must be text",
    ),
    Case(
        row="B059",
        what="version of the future",
        prepare=manifest(API.replace("/v1", "/v99")),
        says="= help: write `apiVersion: reconciler/v1`",
    ),
    Case(
        row="B061",
        what="unknown field",
        prepare=api("baseUrll: x"),
        says="= help: a similar field exists: `baseUrl`",
    ),
    Case(
        row="B062",
        what="name in two files",
        prepare=_twice,
        says="::: manifests/a.yaml:3:18  first declared here",
    ),
    *(
        Case(row="B064", what=f"name {name}", prepare=named(name), says="is not a valid name")
        for name in ("../../x", "a/b", "'..'", "''", "'a b'")
    ),
    *(
        Case(row="B065", what=f"name {name}", prepare=named(name), says=f"`{name}` is reserved")
        for name in ("CON", "nul", "com1")
    ),
    *(
        Case(
            row="B067",
            what=f"{way} Arabic digits",
            prepare=sql(f"port: {port}"),
            says="E105]: `spec.port` must be a whole number, not text",
        )
        for way, port in (
            ("bare", "\u0665\u0664\u0663\u0662"),
            ("quoted", '"\u0665\u0664\u0663\u0662"'),
        )
    ),
    Case(
        row="B073",
        what="secret in its field",
        prepare=api(f"auth: {{method: bearer, token: {CANARY}}}"),
        says="E301]: a secret is written in `spec.auth.token`",
    ),
    Case(
        row="B074",
        what="secret in an unknown field",
        prepare=sql(f"auth: {{method: password, username: a, pasword: {CANARY}}}"),
        says="E104]: unknown field `pasword`",
    ),
    Case(
        row="B076",
        what="status",
        prepare=manifest(f"{API}status: {{phase: ACTIVE}}\n"),
        says="E112]: `status` is written by the program",
    ),
    Case(
        row="B076",
        what="uid and version",
        prepare=manifest(API.replace("crm}", "crm, uid: conn_x, resourceVersion: 1}")),
        says="E112]: `resourceVersion` is written by the program",
    ),
)
