"""Codes of the schema and of the rules beside it, E1xx: one manifest, field by field.

Found by `validate`: `diagnostics.rules` for what the schema says, a kind's `checks` for the rest.
"""

from __future__ import annotations

from reconciler.codes.entry import Code, api, sql

_URL = "baseUrl: https://crm.example.com\n"
_DATABASE = "engine: postgresql\nhost: db.internal\ndatabase: orders\n"

_OAUTH2 = (
    "auth:\n  method: oauth2\n  grant: clientCredentials\n  clientId: crm\n"
    "  clientAuthentication: {{method: basic, secret: {{env: CRM_SECRET}}}}\n  tokenUrl: {}"
)
_CONSENT = (
    "auth:\n  method: oauth2\n  grant: authorizationCode\n  clientId: crm\n"
    "  tokenUrl: https://login.example.com/token\n"
    "  authorizationUrl: https://login.example.com/authorize\n  redirectUrl: {}"
)

SCHEMA = {
    "E101": Code(
        title="unknown apiVersion",
        text=(
            "`apiVersion` says for which version of the manifest format a file is written, and "
            "this program knows `reconciler/v1`. Of a manifest of another version nothing else is "
            "checked. Manifests of other programs do not belong in the folder."
        ),
        failing=api(_URL).replace("reconciler/v1", "reconciler/v99"),
        fixed=api(_URL),
    ),
    "E102": Code(
        title="kind is missing or unknown",
        text=(
            "`kind` says what a document describes: `ApiConnection` or `SqlConnection`, written "
            "exactly so. Without it nothing else of the document can be checked."
        ),
        failing=api(_URL).replace("ApiConnection", "APIConnection"),
        fixed=api(_URL),
    ),
    "E103": Code(
        title="required field missing",
        text=(
            "A field without a default is not there. The position is that of the mapping that "
            "lacks it. Which fields are required depends on `kind`, `engine` and `auth.method`; "
            "an editor with the JSON Schema shows them while you type."
        ),
        failing=api(_URL + "auth:\n  method: basic\n  username: report"),
        fixed=api(
            _URL + "auth:\n  method: basic\n  username: report\n  password: {env: CRM_PASSWORD}"
        ),
    ),
    "E104": Code(
        title="unknown field",
        text=(
            "No field has this name here. Names are exact: `baseUrl`, not `base_url` or "
            "`BaseURL`. Unknown fields are errors and never ignored, since a misspelt field would "
            "otherwise leave its default in force without a word. The value is not shown, because "
            "a misspelt field may hold a secret. Notes of your own belong in "
            "`metadata.annotations`."
        ),
        failing=sql("engine: postgresql\nhost: db.internal\ndatabase: orders\npoool: {size: 3}"),
        fixed=sql("engine: postgresql\nhost: db.internal\ndatabase: orders\npool: {size: 3}"),
    ),
    "E105": Code(
        title="wrong type",
        text=(
            "The value has another type than the field: text in quotes where a number belongs, a "
            "number where text belongs, a single value where a list belongs. Values are never "
            "converted, since `1.10` and `no` would change on the way. Quote what is text; take "
            "the quotes off what is a number. A field with nothing after its colon is null, which "
            "no field accepts: delete the line to get the default."
        ),
        failing=sql(_DATABASE + 'port: "5432"'),
        fixed=sql(_DATABASE + "port: 5432"),
    ),
    "E106": Code(
        title="not one of the allowed values",
        text=(
            "The field takes one of a fixed list of words, which the message names. They are "
            "case-sensitive."
        ),
        failing=sql(_DATABASE + "tls: {mode: prefer}"),
        fixed=sql(_DATABASE + "tls: {mode: verify-full}"),
    ),
    "E107": Code(
        title="out of range",
        text=(
            "The number or the duration is below the smallest or above the largest value of the "
            "field; the message names both. A range such as `200-299` begins with its lower end."
        ),
        failing=sql(_DATABASE + "port: 70000"),
        fixed=sql(_DATABASE + "port: 5432"),
    ),
    "E108": Code(
        title="invalid name",
        text=(
            "Names and namespaces have 1 to 63 characters of `a-z`, `0-9`, `-` and `_`, and begin "
            "and end with a letter or digit. They become parts of paths, metrics and commands, so "
            "capitals, spaces, dots and slashes are out, as are names that an operating system "
            "reserves and names that look like our own identifiers. A name is never rewritten for "
            "you; the hint proposes a valid one. Keep a pretty name in `metadata.displayName`."
        ),
        failing=api(_URL, metadata="{name: CRM (sales)}"),
        fixed=api(_URL, metadata="{name: crm-sales, displayName: CRM (sales)}"),
    ),
    "E109": Code(
        title="wrong format",
        text=(
            "The text does not have the form that the field asks for; the message says which. "
            "Letters and digits are ASCII, and nothing may follow, not even a line end."
        ),
        failing=api(_URL, metadata='{name: crm, version: "1.2"}'),
        fixed=api(_URL, metadata="{name: crm, version: 1.2.0}"),
    ),
    "E110": Code(
        title="duration without a unit",
        text=(
            "Durations are text with a unit: `500ms`, `30s`, `5m`, `1h`, `7d`. A bare number is "
            "refused, since one reader takes it for seconds and the next for milliseconds."
        ),
        failing=api(_URL + "timeout: {connect: 5}"),
        fixed=api(_URL + "timeout: {connect: 5s}"),
    ),
    "E111": Code(
        title="too long, too short or too many",
        text=(
            "A text has too many or too few characters, or a list or mapping too many or too few "
            "items. The message names the limit."
        ),
        failing=api(_URL + "health: {expect: {status: []}}"),
        fixed=api(_URL + "health: {expect: {status: [200]}}"),
    ),
    "E112": Code(
        title="read-only field",
        text=(
            "`status`, `uid`, `generation` and the like are written by the program and kept in "
            "the state store; a manifest says only what is wanted. They usually come from an "
            "export. Delete the field."
        ),
        failing=api(_URL) + "status: {phase: ACTIVE}\n",
        fixed=api(_URL),
    ),
    "E113": Code(
        title="field belongs to another method or engine",
        text=(
            "The field exists, but not with this `auth.method`, this `engine` or this "
            "`health.method`: a database in a file has no host, port, tls or auth, `bearer` has "
            "no user name, and the answer to HEAD has no body. Change the choice that the message "
            "names, or delete the field."
        ),
        failing=api(_URL + "auth: {method: bearer, token: {env: CRM_TOKEN}, username: report}"),
        fixed=api(_URL + "auth: {method: bearer, token: {env: CRM_TOKEN}}"),
    ),
    "E114": Code(
        title="item repeated",
        text="A list whose items must differ holds one of them twice. Delete one of the two.",
        failing=api(_URL, metadata="{name: crm, tags: [prod, prod]}"),
        fixed=api(_URL, metadata="{name: crm, tags: [prod]}"),
    ),
    "E115": Code(
        title="invalid URL",
        text=(
            "`baseUrl` is an absolute URL with scheme `http` or `https`, a host and perhaps a "
            "port and a path, and no fragment. Spaces, control characters and backslashes are "
            "refused, because programs disagree about what they mean."
        ),
        failing=api("baseUrl: crm.example.com/v2"),
        fixed=api("baseUrl: https://crm.example.com/v2"),
    ),
    "E116": Code(
        title="URL with user info or query",
        text=(
            "`baseUrl` may not hold a user or a query: requests are built by adding a path to it, "
            "and a `user@` before the host is the oldest way to make a URL look like another one. "
            "Credentials belong in `auth`, the query of the health check in `health.path`."
        ),
        failing=api("baseUrl: https://crm.example.com/v2?lang=en"),
        fixed=api("baseUrl: https://crm.example.com/v2"),
    ),
    "E117": Code(
        title="invalid host",
        text=(
            "A host is a name such as `db-7.internal` or an IP address, alone: the port has its "
            "own field, and neither a path nor connection options fit in it. Names outside ASCII "
            "are refused, since letters of two scripts look alike; write the ASCII form that the "
            "message shows."
        ),
        failing=sql("engine: postgresql\nhost: db.internal:5432\ndatabase: orders"),
        fixed=sql("engine: postgresql\nhost: db.internal\nport: 5432\ndatabase: orders"),
    ),
    "E118": Code(
        title="invalid header",
        text=(
            "A header name consists of letters, digits and some punctuation, and a value is one "
            "line of printable ASCII (RFC 9110, section 5): anything else would let a value add "
            "headers of its own. A name stands once, without regard to case, and headers that the "
            "transport sets, such as `Host` or `Content-Length`, cannot be given."
        ),
        failing=api(_URL + "headers: {X Team: hr}"),
        fixed=api(_URL + "headers: {X-Team: hr}"),
    ),
    "E119": Code(
        title="invalid health query",
        text=(
            "A health query is one statement that begins with SELECT, VALUES, SHOW or WITH and "
            "has no `;`. Words that change data are refused anywhere in it, and for SQL Server "
            "those that begin another statement or end a transaction, too. It is run read-only, "
            "and its first row is fetched."
        ),
        failing=sql(_DATABASE + "health:\n  query: drop table orders"),
        fixed=sql(_DATABASE + "health:\n  query: show server_version"),
    ),
    "E120": Code(
        title="invalid path of a database file",
        text=(
            "With engines that keep a database in a file, `database` is the path of that file, "
            "relative to the project root and inside it. URLs, options and databases in memory "
            "are refused: they would be empty, or let the driver do more than open a file."
        ),
        failing=sql('engine: sqlite\ndatabase: ":memory:"'),
        fixed=sql("engine: sqlite\ndatabase: data/orders.sqlite"),
    ),
    "E131": Code(
        title="address of a login without https",
        text=(
            "Client secrets, passwords, codes and tokens go to `tokenUrl`, `authorizationUrl` and "
            "`deviceUrl`, and whoever reads one of them on the way is us from then on (RFC 6749, "
            "section 3.1). Only addresses of this machine may begin with `http:`."
        ),
        failing=api(_URL + _OAUTH2.format("http://login.example.com/token")),
        fixed=api(_URL + _OAUTH2.format("https://login.example.com/token")),
    ),
    "E132": Code(
        title="redirect URL is not on this machine",
        text=(
            "`reconciler authorize` listens on `redirectUrl` for the browser that comes back from "
            "the consent (RFC 8252, section 7.3), so it is `http:`, a loopback address and a port, "
            "and the same text as is registered with the server."
        ),
        failing=api(_URL + _CONSENT.format("https://crm.example.com/callback")),
        fixed=api(_URL + _CONSENT.format("http://127.0.0.1:8765/callback")),
    ),
    "E133": Code(
        title="parameter that the grant writes, or a credential",
        text=(
            "`parameters`, `authorizationParameters` and `claims` are for what a server wants on "
            "top of the standard, as plain text. What the grant sends anyway has a field of its "
            "own, and a credential is a reference and never a text."
        ),
        failing=api(
            _URL
            + _OAUTH2.format(
                "https://login.example.com/token\n  parameters:\n"
                "    client_secret: a-made-up-secret"
            )
        ),
        fixed=api(
            _URL
            + _OAUTH2.format("https://login.example.com/token\n  parameters:\n    tenant: acme")
        ),
    ),
    "E140": Code(
        title="invalid proxy",
        text=(
            "`proxy.url` is a scheme, a host and perhaps a port: `http://`, `https://` or "
            "`socks5://`. User name and password stand in `proxy.auth`, since a URL is shown in "
            "plans and logs. A user name for HTTP has no `:` (RFC 7617)."
        ),
        failing=api(_URL + "proxy: {url: proxy.internal:3128}"),
        fixed=api(_URL + "proxy: {url: http://proxy.internal:3128}"),
    ),
    "E141": Code(
        title="contradicting ways to connect",
        text=(
            "A server is reached over the network (`host`, `port`, and on the way `ssh` and "
            "`proxy`) or through a `socket` on this machine, not both. An SSH server is logged in "
            "to with a password or a private key, not both. TLS over a socket has no host name to "
            "verify, and PostgreSQL's library has none at all."
        ),
        failing=sql(
            "engine: mysql\nhost: db.internal\nsocket: /run/mysqld/mysqld.sock\ndatabase: orders"
        ),
        fixed=sql("engine: mysql\nsocket: /run/mysqld/mysqld.sock\ndatabase: orders"),
    ),
    "E142": Code(
        title="invalid socket",
        text=(
            "`socket` is the absolute path of the socket that a server on this machine listens on. "
            "PostgreSQL derives its name from its port, `.s.PGSQL.5432`. The folder of this tool "
            "holds no server's socket."
        ),
        failing=sql("engine: postgresql\nsocket: /run/postgresql\ndatabase: orders"),
        fixed=sql("engine: postgresql\nsocket: /run/postgresql/.s.PGSQL.5432\ndatabase: orders"),
    ),
}
