"""What libpq would take from the environment or the home folder, and is told instead.

Shared by connections to PostgreSQL and the state store's own: both may be described by a pull
request, and neither gets a password of `~/.pgpass` or a key of `~/.postgresql`. libpq's default for
each of these is a variable or a file of whoever runs this; a parameter that is given, even as
empty text, is not looked up.
"""

from __future__ import annotations

from pathlib import Path

from psycopg import pq

#: A path that exists nowhere: libpq reads its default files only when it is given no path.
NO_FILE = "/dev/null/none"
#: Parameter -> what stands for "nothing".
NEUTRAL: dict[str, str | int] = {
    "application_name": "reconciler",
    "channel_binding": "prefer",
    "client_encoding": "UTF8",
    "connect_timeout": 0,
    "gssdelegation": 0,
    "gssencmode": "disable",
    "gsslib": "",
    "krbsrvname": "postgres",
    "load_balance_hosts": "disable",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "options": "",
    "passfile": NO_FILE,
    "requirepeer": "",
    "sslcert": NO_FILE,
    "sslcertmode": "disable",
    "sslcompression": 0,
    "sslcrl": NO_FILE,
    "sslcrldir": "",
    "sslnegotiation": "postgres",
    "sslsni": 1,
    "sslkey": NO_FILE,
    "sslpassword": "",
    "ssl_max_protocol_version": "",
    "target_session_attrs": "any",
}
#: Parameters that older versions of libpq do not know, and do not need.
KNOWN = frozenset(default.keyword.decode() for default in pq.Conninfo.get_defaults())
#: Where systems keep their authorities in one file: Debian and Alpine, Fedora, SUSE, RHEL, BSD and
#: macOS (the list of Go's crypto/x509). The OpenSSL inside psycopg knows another system's paths.
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def authorities() -> str:
    """Returns the file of the authorities that this machine trusts, else libpq's word for them."""
    return next((path for path in _AUTHORITIES if Path(path).is_file()), "system")
