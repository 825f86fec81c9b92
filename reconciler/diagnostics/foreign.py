"""What other systems call a field or a value, and what is written here in its place.

Hints only: nothing is ever read under another name. The words are those of Smarter, aiXplain,
Datagrok and Mixpeek manifests, of Airflow and Grafana connections, of JDBC and SQLAlchemy URLs. A
name that is merely misspelt is not listed; `wording.similar` finds it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.model import Json, Path


def _table(*rows: tuple[str, str]) -> Mapping[str, str]:
    return {plain(word): hint for words, hint in rows for word in words.split()}


def plain(word: str) -> str:
    """Returns `word` without case, blanks and marks: `auth_scheme` and `authScheme` are one."""
    return re.sub("[^a-z0-9]", "", word.casefold())


_PROXY = "write `proxy: {url: http://HOST:PORT}`, and a login to it under `proxy.auth`"
_SSH = "write `ssh: {host: ..., username: ..., knownHosts: {file: known_hosts}}`"
_HEALTH = "how it is checked is written under `health`"
_NESTED = "write its fields directly under `spec`"
_LOGIN = "write it under `auth`: `{method: password, username: ..., password: {env: NAME}}`"
_METHOD = "write `auth: {method: ...}`"

_ANY_FIELDS: Final = (
    ("proxyHost proxyPort proxyProtocol proxyUsername proxyPassword proxies", _PROXY),
    ("tunnel bastion sshHost sshPort sshKey sshKnownHosts sshTunnel transport", _SSH),
    ("connection config parameters providerConfig data extra jsonData", _NESTED),
    ("authMethod authenticationMethod authScheme authenticationSchema authType", _METHOD),
    ("authentication credentials secureJsonData", _METHOD),
    ("probe testQuery test check", _HEALTH),
    ("enabled disabled isActive status", "write `state: active` or `state: suspended`"),
)
#: Field directly under `spec` -> what to write, for each kind.
_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "SqlConnection": _table(
        *_ANY_FIELDS,
        ("server hostname hostspec address", "write `host: ...`"),
        ("dbEngine dialect dataSource provider providerType driver type", "write `engine: ...`"),
        ("db dbname catalog databaseName serviceName path file", "write `database: ...`"),
        (
            "url uri dsn connString connectionString jdbcUrl sqlalchemyUri",
            "write it as fields: `engine`, `host`, `port`, `database` and `auth`",
        ),
        ("user username login password passwd pwd", _LOGIN),
        ("token accessToken privateKey account keyPair", "write it under `auth`"),
        ("project projectId", "write `database: ...`"),
        ("ssl useSsl sslMode encrypt", "write `tls: {mode: verify-full}`"),
        ("sslCa sslRootCert caCert", "write `tls: {ca: {file: path}}`"),
        (
            "sslCert sslKey clientCert clientKey",
            "write `tls: {clientCertificate: {certificate: {file: path}, key: {file: path}}}`",
        ),
        ("schema searchPath warehouse role", "write it under `options`, if the engine has it"),
        ("poolSize maxOverflow poolMaxSize", "write `pool: {size: 5, maxOverflow: 10}`"),
        ("connectTimeout queryTimeout queryTimeoutSeconds", "write it under `timeout`"),
        ("query sql", "write `health: {query: ...}`"),
        (
            "cache cacheResults cacheSchema cacheInvalidateSchedule",
            "delete it: nothing is cached here",
        ),
    ),
    "ApiConnection": _table(
        *_ANY_FIELDS,
        ("url uri host server endpoint baseUri address", "write `baseUrl: https://...`"),
        (
            "apiKey token bearerToken accessToken username password",
            "write it under `auth`, for example `{method: bearer, token: {env: NAME}}`",
        ),
        ("useSsl ssl verifySsl verify tlsSkipVerify insecure", "write it as `tls: {verify: ...}`"),
        (
            "clientCert clientKey cert sslCert sslKey",
            "write `tls: {clientCertificate: {certificate: {file: path}, key: {file: path}}}`",
        ),
        ("requestTimeout connectTimeout", "write `timeout: {connect: 5s, total: 30s}`"),
        (
            "httpMethod path expectedStatus",
            "write it under `health`: `{method: GET, path: /, expect: ...}`",
        ),
        ("userAgent", "write `headers: {User-Agent: ...}`"),
    ),
}
_AUTH_FIELDS: Final = _table(
    ("scheme type kind", "write `method: ...`"),
    ("user login", "write `username: ...`"),
    ("secret passwordRef", "write `password: {env: NAME}`"),
    ("tokenRef apiKeyRef", "leave out `Ref`: the value is a reference, `{env: NAME}`"),
    ("clientSecret", "write `clientAuthentication: {method: basic, secret: {env: NAME}}`"),
    ("scope", "write `scopes: [...]`"),
)

_CERTIFICATE = "write `method: none`, and the certificate under `tls.clientCertificate`"
_TICKETS = "it is not offered: its tickets would come from the environment"
_JWT = "write `method: oauth2` with `grant: jwtBearer`"
#: Value -> what to write.
_API_METHODS: Final = _table(
    ("noAuth anonymous", "write `method: none`"),
    ("token jwtToken pat", "write `method: bearer`"),
    ("oauth clientCredentials openIdConnect oidc", "write `method: oauth2` with a `grant`"),
    ("jwt serviceAccount", _JWT),
    ("mtls clientCertificate certificate tls", _CERTIFICATE),
    ("usernamePassword login password httpBasic", "write `method: basic`"),
    ("awsAccessKey aws sigv4 awsIam iam", "write `method: awsSigV4`"),
    ("httpHeaders header custom", "write `method: headers`"),
    ("query queryParam cookie", "write `method: apiKey` with `in: query` or `in: cookie`"),
    ("ntlm kerberos negotiate spnego gssapi", _TICKETS),
)
_SQL_METHODS: Final = _table(
    ("noAuth anonymous trust", "write `method: none`"),
    ("usernamePassword basic login tcpip native sqlPassword", "write `method: password`"),
    ("tcpipSsh", "write `method: password`, and the tunnel under `spec.ssh`"),
    ("ldapUserPwd ad activeDirectory", "write `method: ldap`"),
    ("mtls cert certificate", "write `method: clientCertificate`"),
    ("token pat bearer programmaticAccessToken", "write `method: accessToken`"),
    ("jwt keypairJwt snowflakeJwt privateKey rsa", "write `method: keyPair`"),
    ("iam rds rdsIam aws", "write `method: awsIam`"),
    ("gcp google googleServiceAccount keyfile", "write `method: serviceAccount`"),
    ("kerberos gssapi sspi integrated windows", _TICKETS),
)
_GRANTS: Final = _table(
    ("ccg serviceAccount", "write `grant: clientCredentials` or `grant: jwtBearer`"),
    ("delegated code pkce", "write `grant: authorizationCode`"),
    (
        "implicit",
        "it is not offered: RFC 9700, section 2.1.2, warns of it; write `grant: authorizationCode`",
    ),
    ("jwt", "write `grant: jwtBearer`"),
    ("ropc resourceOwner", "write `grant: password`"),
)
_TLS_MODES: Final = _table(
    (
        "prefer allow",
        "it may send the password unencrypted; write `verify-full`, or `disable` without TLS",
    ),
    ("true on enabled verifyIdentity strict", "write `mode: verify-full`"),
    ("false off disabled none", "write `mode: disable`"),
    ("required", "write `mode: require`, or better `verify-full`"),
)
_NOT_SQL = "it is not an SQL database"
_AN_API = "it is reached over HTTP: write `kind: ApiConnection`"
_STORAGE = "it stores files: there is no kind for that"
_NO_DRIVER = "it is not offered: no driver of it has been tried"
_A_WAY = "it is a way to reach a database: write the engine that is behind it"
_OFFICE = "it is a file of an office program"
#: Database and other sources that people ask for and that no engine stands for.
_ENGINES: Final = _table(
    ("mongodb mongo cassandra hbase neo4j neptune redis elasticsearch dynamodb", _NOT_SQL),
    ("web http rest odata socrata sparql mlflow twitter openapi graphql virtuoso", _AN_API),
    ("s3 gcs azureBlob dropbox sharepoint files ftp sftp git github googleDrive box", _STORAGE),
    ("odbc jdbc pyodbc sqlalchemy", _A_WAY),
    ("access excel", _OFFICE),
    ("athena db2 ibmDb2 sybase teradata saphana hana hive hive2 impala denodo pi", _NO_DRIVER),
)
_VALUES: Final[Mapping[tuple[str, Path], Mapping[str, str]]] = {
    ("ApiConnection", ("spec", "auth", "method")): _API_METHODS,
    ("SqlConnection", ("spec", "auth", "method")): _SQL_METHODS,
    ("ApiConnection", ("spec", "auth", "grant")): _GRANTS,
    ("SqlConnection", ("spec", "tls", "mode")): _TLS_MODES,
    ("SqlConnection", ("spec", "engine")): _ENGINES,
}


def field_hint(kind: str, path: Path, known: Iterable[str]) -> str:
    """Returns what to write in place of the unknown field at `path`, or `""`.

    Args:
        kind: the manifest's.
        path: from the root of the manifest; its last part is the unknown name.
        known: the fields that this mapping may have, which are never explained away.
    """
    name = plain(str(path[-1]))
    if name in map(plain, known):
        return ""
    match path[:-1]:
        case ("spec",):
            return _FIELDS[kind].get(name, "")
        case ("spec", "auth"):
            return _AUTH_FIELDS.get(name, "")
    return ""


def value_hint(kind: str, path: Path, value: Json) -> str:
    """Returns what to write in place of a `value` that the field at `path` does not know, or `""`.

    A number or true is looked up as YAML would write it.
    """
    word = str(value).lower() if isinstance(value, bool) else str(value)
    return _VALUES.get((kind, path), {}).get(plain(word), "")
