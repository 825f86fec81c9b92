"""A PostgreSQL server with TLS that asks a directory for passwords, both real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.model import JsonObject
from tests.servers import slapd
from tests.servers.certificates import Authority
from tests.servers.postgresql import PostgresServer, start_postgresql
from tests.servers.slapd import Directory, start_slapd

#: With what a directory must cope: what LDIF, DNs and shells would quote, and a letter of Latin-2.
PASSWORD = "r'ig\"ht, ł=+;\\%"
#: The distinguished name of the role `report`.
REPORT = f"uid=report,{slapd.PEOPLE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The server and its directory.

    `report` and `stranger` are looked up by a simple bind, `clerk` by search and bind; the
    directory does not know `stranger`. The server knows the password of `own` itself.
    """

    server: PostgresServer
    directory: Directory
    #: PEM text of the authority of the server's certificate
    authority: str

    @property
    def tls(self) -> JsonObject:
        """`tls` of a spec, its authority in the place of a path."""
        return {"mode": "verify-full", "ca": {"file": self.authority}}


@contextmanager
def start_place(folder: Path, *, has_tls: bool = True) -> Iterator[Place]:
    """Runs both for the length of the block; `folder` is for the certificate."""
    authority = Authority()
    own = authority.server("localhost", "127.0.0.1")
    certificate, key = folder / "server.crt", folder / "server.key"
    certificate.write_text(own.certificate)
    key.write_text(own.key)
    people = {"report": PASSWORD, "clerk": "right"}
    with (
        start_slapd(people=people) as directory,
        start_postgresql(
            certificate=certificate if has_tls else None, key=key, rules=_rules(directory.port)
        ) as server,
    ):
        for role in (*people, "stranger"):
            server.execute(f"CREATE ROLE {role} LOGIN")
        server.execute("CREATE ROLE own LOGIN PASSWORD 'right'")
        yield Place(server=server, directory=directory, authority=authority.pem)


def _rules(port: int) -> str:
    ldap = f"ldap ldapserver={slapd.HOST} ldapport={port}"
    searched = (
        f'ldapbasedn="{slapd.PEOPLE}" ldapsearchattribute=uid'
        f' ldapbinddn="{slapd.SEARCHER}" ldapbindpasswd="{slapd.SEARCHER_PASSWORD}"'
    )
    simple = f'ldapprefix="uid=" ldapsuffix=",{slapd.PEOPLE}"'
    return (
        f"hostssl all report,stranger 127.0.0.1/32 {ldap} {simple}\n"
        f"hostssl all clerk 127.0.0.1/32 {ldap} {searched}\n"
        "host all all 127.0.0.1/32 scram-sha-256\n"
    )
