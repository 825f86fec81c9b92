"""The texts that `new` and `init` write: commented manifests, settings, editor support.

Pure. One row per authentication method and engine; a test validates every combination and fails
when a method of the schema has no row here.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from textwrap import indent

from reconciler.kinds import engines
from reconciler.kinds.engine_traits import Engine
from reconciler.settings import DENIED_ENVIRONMENT
from reconciler.values import dataclass

API, SQL = "ApiConnection", "SqlConnection"
_TOKEN_URL = "tokenUrl: https://login.example.com/oauth2/token\n"
_SECRET = "clientAuthentication: {method: basic, secret: {env: $NAME_CLIENT_SECRET}}\n"
_MAYBE_SECRET = f"# {_SECRET}"
_ASKED = (
    "scopes: []               # what is asked for\n"
    "refreshBefore: 60s       # so long before its end a token is replaced"
)
#: Grant of OAuth 2 -> the lines under `auth`.
GRANTS = {
    "clientCredentials": "method: oauth2\n"
    "grant: clientCredentials # the client itself; `--grant` writes one of the others\n"
    f"{_TOKEN_URL}clientId: my-client\n{_SECRET}{_ASKED}",
    "authorizationCode": "method: oauth2\n"
    "grant: authorizationCode # a person agrees: `reconciler authorize $ID`\n"
    "authorizationUrl: https://login.example.com/oauth2/authorize\n"
    f"{_TOKEN_URL}clientId: my-client\n{_MAYBE_SECRET}"
    "redirectUrl: http://127.0.0.1:8765/callback    # as registered at the server\n"
    "authorizationParameters: {}   # added to the address, such as access_type: offline\n"
    f"{_ASKED}",
    "refreshToken": "method: oauth2\n"
    "grant: refreshToken      # begins with one that was got elsewhere\n"
    f"refreshToken: {{env: $NAME_REFRESH_TOKEN}}\n"
    f"{_TOKEN_URL}clientId: my-client\n{_MAYBE_SECRET}{_ASKED}",
    "jwtBearer": "method: oauth2\n"
    "grant: jwtBearer         # a signed statement is exchanged for a token\n"
    f"{_TOKEN_URL}"
    "assertion:\n"
    "  key: {env: $NAME_KEY}  # a private key in PEM\n"
    "  algorithm: RS256       # or PS256, ES256, EdDSA\n"
    "  issuer: app@example.com\n"
    "  # subject: report@example.com    # for whom; default: the issuer\n"
    f"{_ASKED}",
    "deviceCode": "method: oauth2\n"
    "grant: deviceCode        # a person agrees elsewhere: `reconciler authorize $ID`\n"
    "deviceUrl: https://login.example.com/oauth2/device\n"
    f"{_TOKEN_URL}clientId: my-client\n{_MAYBE_SECRET}{_ASKED}",
    "password": "method: oauth2\n"
    "grant: password          # legacy: a person's password is given to this program\n"
    f"{_TOKEN_URL}clientId: my-client\n{_MAYBE_SECRET}"
    f"username: report\npassword: {{env: $NAME_PASSWORD}}\n{_ASKED}",
}
#: Kind -> method -> the lines under `auth`; `$NAME` becomes the connection's name in capitals.
AUTH = {
    API: {
        "bearer": "method: bearer\ntoken: {env: $NAME_TOKEN}\n"
        "header: Authorization    # where it goes; `prefix` stands before it\nprefix: Bearer",
        "basic": "method: basic\nusername: report\npassword: {env: $NAME_PASSWORD}",
        "digest": "method: digest           # the password is proven and never sent\n"
        "username: report\npassword: {env: $NAME_PASSWORD}",
        "oauth1": "method: oauth1\n"
        "signatureMethod: HMAC-SHA1  # or HMAC-SHA256, PLAINTEXT; RSA-SHA1 takes privateKey\n"
        "consumerKey: my-client\nconsumerSecret: {env: $NAME_CONSUMER_SECRET}\n"
        "token: {env: $NAME_TOKEN}   # without token and tokenSecret: for the client itself\n"
        "tokenSecret: {env: $NAME_TOKEN_SECRET}",
        "awsSigV4": "method: awsSigV4\nregion: eu-central-1\n"
        "service: execute-api     # the name in signatures: s3, es, lambda ...\n"
        "accessKeyId: {env: $NAME_ACCESS_KEY_ID}\n"
        "secretAccessKey: {env: $NAME_SECRET_ACCESS_KEY}\n"
        "# sessionToken: {env: $NAME_SESSION_TOKEN}   # of temporary keys",
        "oauth2": GRANTS["clientCredentials"],
        "apiKey": "method: apiKey\nin: header               # or query, cookie\n"
        "name: X-Api-Key\nvalue: {env: $NAME_KEY}",
        "headers": "method: headers\nheaders:                 # every value is a secret\n"
        "  X-App-Id: {env: $NAME_APP_ID}\n  X-App-Key: {env: $NAME_APP_KEY}",
        "none": "method: none",
    },
    SQL: {
        "password": "method: password\nusername: report\npassword: {env: $NAME_PASSWORD}",
        "ldap": "method: ldap             # the server asks a directory, such as LDAP or PAM\n"
        "username: report\npassword: {env: $NAME_PASSWORD}",
        "clientCertificate": "method: clientCertificate\nusername: report\n"
        "certificate: {file: certs/client.pem}\nkey: {env: $NAME_KEY}\n"
        "# keyPassphrase: {env: $NAME_KEY_PASSPHRASE}",
        "accessToken": "method: accessToken\n"
        "token: {env: $NAME_TOKEN}   # as the service issued it",
        "serviceAccount": "method: serviceAccount   # signs with it; the key is never sent\n"
        "key: {file: secrets/service-account.json}   # as Google gave it out",
        "keyPair": "method: keyPair          # a signed statement; the key is never sent\n"
        "username: REPORT\naccount: MYORG-MYACCOUNT # without region; default: from `host`\n"
        "key: {env: $NAME_KEY}\n"
        "# keyPassphrase: {env: $NAME_KEY_PASSPHRASE}",
        "awsIam": "method: awsIam           # a token of AWS, for Amazon RDS and Aurora\n"
        "username: report\nregion: eu-central-1\n"
        "accessKeyId: {env: $NAME_ACCESS_KEY_ID}\n"
        "secretAccessKey: {env: $NAME_SECRET_ACCESS_KEY}\n"
        "# sessionToken: {env: $NAME_SESSION_TOKEN}   # of temporary keys",
        "none": "method: none",
    },
}

_HEAD = """\
apiVersion: reconciler/v1
kind: $KIND
metadata:
  name: $ID
  namespace: $NAMESPACE
  description: What it is for, and whom to ask
  labels: {team: my-team}    # selectable: -l team=my-team
spec:
"""
_API = """\
baseUrl: https://api.example.com/v2
auth:                        # secrets are references: {env: NAME} or {file: path}
$AUTH
timeout: {connect: 5s, total: 30s}
tls: {verify: true}
# proxy: {url: http://proxy.example.com:3128}    # or https://, socks5://; `auth` logs in there
# ssh: {host: bastion.example.com, username: tunnel, password: {env: $NAME_SSH_PASSWORD},
#       knownHosts: {file: known_hosts}}
health:                      # how it is checked
  interval: 5m
  timeout: 10s
  path: /
  expect: {status: ["200-299"]}
"""
_SERVER = """\
engine: $ENGINE
host: db.example.com
port: $PORT
database: $DATABASE
auth:                        # secrets are references: {env: NAME} or {file: path}
$AUTH
$TLS
# proxy: {url: http://proxy.example.com:3128}    # or https://, socks5://; `auth` logs in there
# ssh: {host: bastion.example.com, username: tunnel, password: {env: $NAME_SSH_PASSWORD},
#       knownHosts: {file: known_hosts}}
$GIVEN# of the driver: $OPTION
timeout: {connect: 5s, query: 30s}
health:                      # how it is checked
  interval: 5m
  timeout: 10s
  query: $QUERY
"""
#: Whether an engine speaks TLS -> the line that says how.
_TLS = {
    True: "tls: {mode: verify-full}     # add `ca: {file: path}` for a private authority",
    False: "tls: {mode: disable}         # it has its own encryption, which is demanded",
}
_FILE = """\
engine: $ENGINE
database: data/$ID.db        # relative to the project
health:                      # how it is checked; the file is opened read-only
  interval: 5m
  timeout: 10s
  query: select 1
"""

#: What `init` puts into `reconciler.toml`.
SETTINGS = """\
# Settings of this project. All are optional; flags and RECONCILER_... variables win over them.

[stack]
name = "default"             # who owns the connections that this project creates

# [state]
# url = "sqlite:///.reconciler/state.db"

# [prune]
# limit = 10                 # orphans that one apply may archive

# [health]
# concurrency = 50           # probes at once
# per_host = 4               # probes at once to one host

# [secrets]
# env_allow = ["APP_*"]      # environment variables that manifests may name
"""
#: The sample of `init`: suspended, so that a first apply contacts nobody.
SAMPLE = """\
# A first connection. Give it a real address and a token, then write `state: active`.
apiVersion: reconciler/v1
kind: ApiConnection
metadata:
  name: example
  description: Replace me
spec:
  state: suspended           # not checked until it says active
  baseUrl: https://api.example.com/v2
  auth: {method: bearer, token: {env: EXAMPLE_TOKEN}}
  health: {path: /, expect: {status: ["200-299"]}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a new manifest shall be."""

    kind: str
    name: str
    namespace: str
    #: empty for an API
    engine: str
    #: a key of `AUTH[kind]`; empty for a database in a file
    auth: str
    #: a key of `GRANTS`, or empty
    grant: str = ""


def manifest(wanted: Wanted) -> str:
    """Returns a commented manifest; it is valid when the names in it are."""
    row = engines.ENGINES.get(wanted.engine)
    body = _API if row is None else _FILE if row.is_file else _SERVER
    words = {
        "KIND": wanted.kind,
        "ID": wanted.name,
        "NAMESPACE": wanted.namespace,
        "ENGINE": wanted.engine,
        "PORT": str(row.default_port) if row else "",
        "QUERY": row.query if row else "",
        "GIVEN": _required_options(row) if row else "",
        "OPTION": ", ".join(option.name for option in row.options) if row else "",
        "DATABASE": wanted.name.replace("-", "_"),
        "TLS": _TLS[row.has_tls] if row else "",
        "AUTH": indent(GRANTS.get(wanted.grant) or AUTH[wanted.kind].get(wanted.auth, ""), "  "),
        "NAME": _variable_prefix(wanted.name),
    }
    # Twice, because the lines of AUTH hold words as well.
    return _filled(_filled(_HEAD + indent(body, "  "), words), words)


def modeline(schema: str) -> str:
    """Returns the comment by which editors find the schema at the relative path `schema`."""
    return f"# yaml-language-server: $schema={schema}\n"


def _filled(text: str, words: dict[str, str]) -> str:
    def word(match: re.Match[str]) -> str:
        value = words[match[2]]
        return indent(value, match[1]) if match[2] == "AUTH" else match[1] + value

    return re.sub(
        r"( *)\$(AUTH|DATABASE|ENGINE|GIVEN|ID|KIND|NAMESPACE|NAME|OPTION|PORT|QUERY|TLS)",
        word,
        text,
    )


def _required_options(row: Engine) -> str:
    """Returns `options` with what the engine cannot do without, else as a comment."""
    given = {o.name: o.schema["examples"][0] for o in row.options if o.is_required}
    written = ", ".join(f"{name}: {value}" for name, value in given.items())
    return f"options: {{{written}}}  " if given else "# options:                   "


def _variable_prefix(name: str) -> str:
    """Returns `name` as the beginning of a variable's name that manifests may use."""
    prefix = re.sub("[^A-Z0-9]", "_", name.upper())
    is_denied = any(fnmatchcase(f"{prefix}_TOKEN", pattern) for pattern in DENIED_ENVIRONMENT)
    return f"MY_{prefix}" if prefix[:1].isdigit() or is_denied else prefix
