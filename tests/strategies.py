"""Hypothesis strategies for manifests: valid ones of every kind, and ones with a single mistake."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from reconciler.kinds import engines
from reconciler.model import Path

Manifest = dict[str, Any]

names = st.from_regex(r"\A[abd-z][a-z0-9_-]{0,8}[a-z0-9]\Z").filter(
    lambda name: not name.startswith(("prn", "aux", "nul", "lpt"))
)
words = st.from_regex(r"\A[A-Za-z0-9]{1,8}\Z")
#: Without controls and lone surrogates, which no loaded document has.
texts = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\x7f"),
    min_size=1,
    max_size=20,
)
durations = st.builds(
    lambda number, unit: f"{number}{unit}",
    st.integers(1, 999),
    st.sampled_from(["ms", "s", "m", "h", "d"]),
) | st.sampled_from(["0.5s", "1.25m", "300s", "60m", "24h", "1000ms"])
thresholds = st.integers(1, 100)
references = st.builds(
    lambda name: {"env": name}, st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,8}\Z")
) | st.builds(lambda name: {"file": f"secrets/{name}"}, words)
references |= st.sampled_from(
    [
        {"systemdCredential": "orders"},
        {"vault": {"path": "apps/orders", "field": "password"}},
        {"vault": {"mount": "kv/team", "path": "orders", "field": "a b", "version": 3.0}},
        {"exec": ["/usr/bin/pass", "show", "orders"]},
        {"keyring": {"service": "reconciler", "username": "orders"}},
        {"age": {"file": "secrets/orders.age"}},
        {"aws": {"secretId": "prod/orders"}},
        {"aws": {"secretId": "arn:aws:secretsmanager:eu-central-1:1:secret:a", "key": "b"}},
        {"gcp": {"project": "prod-data", "secret": "Orders_1"}},
        {"gcp": {"project": "example.com:data", "secret": "a", "version": 3.0, "key": "b"}},
        {"azure": {"secret": "Orders-1"}},
        {"azure": {"secret": "a", "version": "4387e9f3d6e14c459867679a90fd0f79", "key": "b"}},
    ]
)
public_references = st.builds(lambda name: {"file": f"{name}.pem"}, words)

metadata = st.fixed_dictionaries(
    {"name": names},
    optional={
        "namespace": names,
        "displayName": texts,
        "description": texts,
        "version": st.sampled_from(["1.0.0", "0.1.0-rc.1", "2.3.4+build.5"]),
        "labels": st.dictionaries(words, words | st.just(""), max_size=3),
        "tags": st.lists(words, unique=True, max_size=3),
        "annotations": st.dictionaries(words, texts, max_size=3),
        "previousNames": st.lists(names, unique=True, max_size=2),
    },
)

_intent = {
    "state": st.sampled_from(["active", "suspended", "archived"]),
    "deletionPolicy": st.sampled_from(["archive", "delete", "protect"]),
}
_health: dict[str, st.SearchStrategy[Any]] = {
    "interval": durations,
    "timeout": durations,
    "failureThreshold": thresholds,
    "successThreshold": thresholds,
    "suspendAfter": thresholds,
}


def _method(name: str, /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Manifest]:
    return st.fixed_dictionaries({"method": st.just(name), **fields})


_addresses = st.sampled_from(["https://login.example.com/token", "http://127.0.0.1:8081/t"])
_parameters = st.dictionaries(words.map(lambda word: f"x-{word}"), texts, max_size=2)
_signing = {"key": references, "algorithm": st.sampled_from(["RS256", "PS256", "ES256", "EdDSA"])}
_confidential = st.one_of(
    _method("basic", secret=references),
    _method("post", secret=references),
    _method("privateKeyJwt", **_signing, keyId=words),
)


def _grant(name: str, /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Manifest]:
    return st.fixed_dictionaries(
        {"method": st.just("oauth2"), "grant": st.just(name), "tokenUrl": _addresses, **fields},
        optional={
            "scopes": st.lists(words, max_size=2),
            "audience": texts,
            "resource": st.just("https://api.example.com"),
            "parameters": _parameters,
            "refreshBefore": durations.filter(lambda text: not text.endswith(("h", "d"))),
        },
    )


_oauth2 = st.one_of(
    _grant("clientCredentials", clientId=words, clientAuthentication=_confidential),
    _grant("authorizationCode", clientId=words, authorizationUrl=_addresses),
    _grant("refreshToken", clientId=texts, refreshToken=references),
    _grant(
        "jwtBearer",
        assertion=st.fixed_dictionaries(
            {**_signing, "issuer": texts}, optional={"claims": _parameters, "subject": texts}
        ),
    ),
    _grant("password", clientId=words, username=texts, password=references),
    _grant("deviceCode", clientId=words, deviceUrl=_addresses, clientAuthentication=_confidential),
)
api_auth = st.one_of(
    _oauth2,
    _method("none"),
    _method("basic", username=words, password=references),
    _method("digest", username=words, password=references),
    _method("bearer", token=references),
    _method("bearer", token=references, header=words, prefix=words | st.just("")),
    _method("oauth1", consumerKey=words, consumerSecret=references),
    _method(
        "oauth1",
        signatureMethod=st.just("RSA-SHA1"),
        consumerKey=words,
        privateKey=references,
        token=references,
    ),
    _method(
        "awsSigV4",
        region=st.just("eu-central-1"),
        service=st.sampled_from(["s3", "execute-api"]),
        accessKeyId=references,
        secretAccessKey=references,
    ),
    _method("apiKey", name=words, value=references),
    st.builds(
        lambda place, auth: {"in": place, **auth},
        st.sampled_from(["header", "query", "cookie"]),
        _method("apiKey", name=words, value=references),
    ),
    _method("headers", headers=st.dictionaries(words, references, min_size=1, max_size=3)),
)
_pair = {"certificate": public_references, "key": references}
_client_certificate = st.fixed_dictionaries(_pair, optional={"keyPassphrase": references})
sql_auth = st.one_of(
    _method("none"),
    _method("password", username=texts, password=references),
    _method("ldap", username=texts, password=references),
    _method("clientCertificate", username=texts, **_pair),
    _method("accessToken", token=references),
    _method("serviceAccount", key=references),
    _method("keyPair", username=texts, key=references),
    _method("keyPair", username=texts, key=references, account=st.just("MYORG-MYACCOUNT")),
    _method(
        "awsIam",
        username=texts,
        region=st.just("eu-central-1"),
        accessKeyId=references,
        secretAccessKey=references,
    ),
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
_status = st.integers(100, 599) | st.sampled_from(["200", "200-299", "404-404"])

api_spec = st.fixed_dictionaries(
    {"baseUrl": st.sampled_from(["https://api.example.com/v2", "http://127.0.0.1:8080"])},
    optional={
        **_intent,
        "auth": api_auth,
        "headers": st.dictionaries(words, words, max_size=3),
        "timeout": st.fixed_dictionaries({}, optional={"connect": durations, "total": durations}),
        "tls": st.fixed_dictionaries(
            {},
            optional={
                "verify": st.booleans(),
                "ca": public_references,
                "serverName": st.sampled_from(["api.internal", "10.0.0.1"]),
                "minimumVersion": st.sampled_from(["1.2", "1.3"]),
                "clientCertificate": _client_certificate,
            },
        ),
        "health": st.fixed_dictionaries(
            {},
            optional={
                **_health,
                "method": st.sampled_from(["GET", "HEAD", "OPTIONS", "POST"]),
                "path": st.sampled_from(["", "/", "/ping?deep=1"]),
                "expect": st.fixed_dictionaries(
                    {},
                    optional={
                        "status": st.lists(_status, min_size=1, max_size=3),
                        "json": st.dictionaries(
                            st.sampled_from(["", "/status", "/a~1b/0"]), _json, max_size=2
                        ),
                        "text": texts,
                    },
                ),
            },
        ),
    },
)

_sql: dict[str, st.SearchStrategy[Any]] = {
    **_intent,
    "timeout": st.fixed_dictionaries({}, optional={"connect": durations, "query": durations}),
    "pool": st.fixed_dictionaries(
        {}, optional={"size": st.integers(1, 100), "maxOverflow": st.integers(0, 100)}
    ),
    "health": st.fixed_dictionaries({}, optional={**_health, "query": st.just("select 2")}),
}
server_spec = st.fixed_dictionaries(
    {
        "engine": st.sampled_from(engines.SERVER_ENGINES),
        "host": st.sampled_from(["db-7.internal", "127.0.0.1", "::1"]),
        "database": words,
    },
    optional={
        **_sql,
        "port": st.integers(1, 65535),
        "auth": sql_auth,
        "tls": st.fixed_dictionaries(
            {},
            optional={
                "mode": st.sampled_from(["verify-full", "verify-ca", "require", "disable"]),
                "ca": public_references,
                "serverName": st.just("db.internal"),
                "minimumVersion": st.sampled_from(["1.2", "1.3"]),
                "clientCertificate": _client_certificate,
            },
        ),
        "options": st.sampled_from([{}, {"applicationName": "reporting"}]),
    },
)
file_spec = st.fixed_dictionaries(
    {"engine": st.sampled_from(engines.FILE_ENGINES), "database": words}, optional=_sql
)


def _manifest(kind: str, spec: st.SearchStrategy[Manifest]) -> st.SearchStrategy[Manifest]:
    return st.fixed_dictionaries(
        {
            "apiVersion": st.just("reconciler/v1"),
            "kind": st.just(kind),
            "metadata": metadata,
            "spec": spec,
        }
    )


api_manifests = _manifest("ApiConnection", api_spec)
sql_manifests = _manifest("SqlConnection", server_spec | file_spec)
#: Whole manifests of every kind, valid by the schema; kept apart from the rules of `checks`.
manifests = api_manifests | sql_manifests

#: What people and fuzzers put where something else belongs.
oddities: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1,
        5.0,
        1.5,
        200.0,
        65536,
        10**30,
        "",
        " ",
        "5432",
        "5m",
        "0s",
        "5m\n",
        "abc\n",
        "abc",
        "conn_abc",
        "nul",
        "nul-1",
        "CON",
        "\u0665\u0664s",
        "1\u0663",
        "200-299\n",
        "a" * 64,
        "a" * 600,
        "/ping\n",
        [],
        ["a", "a"],
        [1],
        {},
        {"env": "A"},
        {"env": "A", "file": "b"},
        {"env": None},
        {"env": "A\n"},
        {"vault": "x"},
        {"vault": {"path": "a/../b", "field": "x"}},
        {"vault": {"path": "a?b", "field": "x", "address": "y"}},
        {"exec": []},
        {"exec": "ls"},
        {"exec": ["a\n"]},
        {"systemdCredential": ".."},
        {"age": "x"},
        {"keyring": {"service": "x"}},
        {"gcp": {"secret": "x"}},
        {"azure": {"secret": "x_y", "version": "1"}},
        {"gcp": {"project": "a/b", "secret": "x/y", "version": 0}},
        {"method": "bearer"},
        {"method": "nosuch"},
        {"method": None},
        {"": "x"},
    ]
)


def _places(data: Any, path: Path = ()) -> list[Path]:
    inner: list[tuple[str | int, Any]] = []
    if isinstance(data, dict):
        inner = list(data.items())
    elif isinstance(data, list):
        inner = list(enumerate(data))
    return [
        place for part, value in inner for place in ((*path, part), *_places(value, (*path, part)))
    ]


@st.composite
def mutated_manifests(draw: st.DrawFn) -> Manifest:
    """Draws a valid manifest with one value replaced, removed or added; it may still be valid.

    `kind` stays, since it chooses the schema.
    """
    manifest = deepcopy(draw(manifests))
    *path, last = draw(st.sampled_from([p for p in _places(manifest) if p != ("kind",)]))
    holder: Any = manifest
    for part in path:
        holder = holder[part]
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "replace":
            holder[last] = draw(oddities)
        case "remove":
            del holder[last]
        case "add" if isinstance(holder, list):
            holder.append(draw(oddities))
        case _:
            holder[draw(st.sampled_from(["extra", "port", "host", "token", "nul"]))] = draw(
                oddities
            )
    return manifest
