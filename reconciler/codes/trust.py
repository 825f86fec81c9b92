"""Codes about secrets and trust: E3xx, and the warnings W2xx.

Found by `validate` and a kind's `checks`; the version that goes down, by `plan`.
"""

from __future__ import annotations

from reconciler.codes.entry import Code, api, sql

_URL = "baseUrl: https://crm.example.com\n"
_DATABASE = "engine: postgresql\nhost: db.internal\ndatabase: orders\n"

TRUST = {
    "E301": Code(
        title="a secret is written in the manifest",
        text=(
            "The field holds a secret, and its value stands in the file. Manifests are committed, "
            "reviewed and copied, so a secret is never written there: the field holds a reference "
            "to where it is kept, such as `{env: NAME}` or `{file: path}`. Move the value, and "
            "replace it where it is used if the file was ever committed: history keeps it. The "
            "value is shown nowhere."
        ),
        failing=api(_URL + "auth: {method: bearer, token: a-made-up-token}"),
        fixed=api(_URL + "auth: {method: bearer, token: {env: CRM_TOKEN}}"),
    ),
    "E302": Code(
        title="secret reference refused",
        text=(
            "The reference names something that no connection may have: an environment variable "
            "that steers this program or its loader, a file outside the project root and the "
            "folders for secrets, a service of the keyring that is not its own, what `[secrets]` "
            "in `reconciler.toml` leaves out, or what the operator file of this machine does not "
            "grant: a command, a server. Otherwise a one-line change in a pull request could send "
            "any file of the machine to any host."
        ),
        failing=api(_URL + "auth: {method: bearer, token: {file: /etc/shadow}}"),
        fixed=api(_URL + "auth: {method: bearer, token: {file: /run/secrets/crm}}"),
    ),
    "E303": Code(
        title="malformed secret reference",
        text=(
            "A reference is a mapping with exactly one key, the source, and its argument: "
            "`{env: NAME}` for an environment variable, `{file: path}` for a file, "
            "`{systemdCredential: NAME}`, `{vault: {path: ..., field: ...}}`, "
            "`{exec: [program, argument]}`, `{keyring: {service: ..., username: ...}}`, "
            "`{age: {file: ...}}`, `{aws: {secretId: ...}}`, "
            "`{gcp: {project: ..., secret: ...}}` or `{azure: {secret: ...}}`. Addresses and "
            "credentials of a server that keeps secrets are no part of it: they stand in the "
            "operator file."
        ),
        failing=api(_URL + "auth: {method: bearer, token: {environment: CRM_TOKEN}}"),
        fixed=api(_URL + "auth: {method: bearer, token: {env: CRM_TOKEN}}"),
    ),
    "E304": Code(
        title="credential in headers or a body",
        text=(
            "`headers`, and the body in `health.json`, are for what is no secret, and this name "
            "says that it carries one. Use `auth`: `bearer` and `basic` write the Authorization "
            "header, `apiKey` a header of your choice, `headers` several at once. Each takes a "
            "reference, so the value stays out of the file and of every output."
        ),
        failing=api(_URL + "headers: {X-Api-Key: a-made-up-key}"),
        fixed=api(
            _URL + "auth: {method: apiKey, in: header, name: X-Api-Key, value: {env: CRM_KEY}}"
        ),
    ),
    "E305": Code(
        title="credential in a URL",
        text=(
            "A parameter in the URL has a name that says that it is a secret. URLs end up in "
            "logs, in history and in error messages. Use `auth`, for keys in the query `apiKey` "
            "with `in: query`."
        ),
        failing=api("baseUrl: https://crm.example.com/v2?api_key=a-made-up-key"),
        fixed=api(
            "baseUrl: https://crm.example.com/v2\n"
            "auth: {method: apiKey, in: query, name: api_key, value: {env: CRM_KEY}}"
        ),
    ),
    "W201": Code(
        title="the server's certificate is not verified",
        text=(
            "With `tls: {verify: false}`, or with the modes `require` and `disable`, anybody on "
            "the way can pose as the server. Give the authority that signed the certificate "
            "instead, with `tls: {ca: {file: ...}}`. Addresses of the same machine are not warned "
            "about."
        ),
        failing=sql(_DATABASE + "tls: {mode: require}"),
        fixed=sql(_DATABASE + "tls: {mode: verify-full, ca: {file: /etc/ssl/db-ca.pem}}"),
    ),
    "W202": Code(
        title="credential over an unencrypted connection",
        text=(
            "The URL begins with `http:`, or the TLS mode of a database is `disable`, so the "
            "credential crosses the network readable by everybody on the way. Use `https:` or "
            "`mode: verify-full`. Addresses of the same machine are not warned about."
        ),
        failing=api(
            "baseUrl: http://crm.example.com\nauth: {method: bearer, token: {env: CRM_TOKEN}}"
        ),
        fixed=api(
            "baseUrl: https://crm.example.com\nauth: {method: bearer, token: {env: CRM_TOKEN}}"
        ),
    ),
    "W203": Code(
        title="version goes down",
        text=(
            "`metadata.version` is lower than that of the stored connection: an old file may have "
            "been restored or a branch is behind. It is applied all the same. Found by `plan`, "
            "since only the state knows the other version."
        ),
    ),
    "W211": Code(
        title="legacy grant",
        text=(
            "With the grant `password` this program holds the password of a person and sends it "
            "to the token server. Second factors and consent do not work with it, and RFC 9700, "
            "section 2.4, forbids it. It works for servers that know nothing better."
        ),
        failing=api(
            _URL + "auth:\n  method: oauth2\n  grant: password\n  clientId: crm\n"
            "  tokenUrl: https://login.example.com/token\n  username: report\n"
            "  password: {env: CRM_PASSWORD}"
        ),
        fixed=api(
            _URL + "auth:\n  method: oauth2\n  grant: clientCredentials\n  clientId: crm\n"
            "  tokenUrl: https://login.example.com/token\n"
            "  clientAuthentication: {method: basic, secret: {env: CRM_SECRET}}"
        ),
    ),
}
