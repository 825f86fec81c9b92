"""Bad inputs that need a peer of their own: servers that misbehave, hops, resolvers, states."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import ssl
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from reconciler.model import JsonObject
from tests.corpus.cases import API, CANARY, FILE, SQL, Case, Place, Prepare
from tests.servers import http_routes, sql_peers
from tests.servers.certificates import Authority
from tests.servers.http import Client, Route, http_server, silent_server
from tests.servers.sql_peers import Conversation
from tests.servers.ssh import SshServer, ssh_server

#: For peers that are waited for in vain; all others end a check by what they do.
_HEALTH = "  timeout: {total: 2s}\n  health: {timeout: 1s}\n"
_PATIENT = "  health: {timeout: 30s}\n"
_AUTH = "  auth: {method: bearer, token: {env: TOKEN}}\n"
_PASSWORD = "  auth: {method: password, username: u, password: {env: TOKEN}}\n"


def _checked(
    row: str, what: str, prepare: Prepare, says: str, *, code: int = 11, prelude: str = ""
) -> Case:
    return Case(
        row=row,
        what=what,
        prepare=prepare,
        argv=("apply",),
        exit=code,
        says=says,
        env={"TOKEN": CANARY},
        prelude=prelude,
        may_record=True,
    )


# --- what a program in the place of sops does -------------------------------------------------

#: Takes the arguments of `sops --decrypt --extract PATH FILE`, verifies a MAC over the file, and
#: ends with the exit status that sops documents for a wrong one. It is not sops.
_STAND_IN = f"""#!{sys.executable}
import hashlib, hmac, json, sys
assert sys.argv[1:3] == ["--decrypt", "--extract"] and len(sys.argv) == 5
document = json.load(open(sys.argv[4]))
held = json.dumps(document["data"], sort_keys=True).encode()
if not hmac.compare_digest(hmac.new(b"key", held, hashlib.sha256).hexdigest(), document["mac"]):
    sys.stderr.write("MAC mismatch: " + held.decode())
    sys.exit(51)
value = document["data"]
for part in json.loads(sys.argv[3].replace("][", ",")):
    value = value[part]
sys.stdout.write(value)
"""


def _through_sops(mac: str, place: Place) -> None:
    program = place.outside / "sops"
    program.write_text(_STAND_IN)
    program.chmod(0o700)
    place.server.routes["/"] = http_routes.answer(200)
    kept = {"data": {"crm": {"token": CANARY}}, "mac": mac}
    file = place.write("secrets/crm.json", json.dumps(kept))
    words = [str(program), "--decrypt", "--extract", '["crm"]["token"]', str(file)]
    text = API.replace("https://crm.example.com", f"{place.server.url}/")
    reference = json.dumps({"exec": words})
    place.write(FILE, f"{text}  auth: {{method: bearer, token: {reference}}}\n")


#: Of the document above under the key above; written out, so that nothing else can pass.
_MAC = "141a6494df590b52498d74c6a0fbad3c9e950e36ccc5c612fd7255a51ed6fd79"


# --- what is kept in the state ----------------------------------------------------------------

_KEYS = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("first", "second")}


def _stored(place: Place) -> None:
    """Stores two secrets, of which a manifest names one."""
    place.server.routes["/"] = http_routes.answer(200)
    text = API.replace("https://crm.example.com", f"{place.server.url}/")
    place.write(FILE, f"{text}  auth: {{method: bearer, token: {{store: crm-token}}}}\n")
    for name in ("crm-token", "other"):
        ended = place.run(
            *("secret", "set", name),
            env={"RECONCILER_KEY": _KEYS["first"]},
            stdin=f"{CANARY}-{name}".encode(),
        )
        assert ended.code == 0, ended.text


def _change(place: Place, statement: str) -> None:
    database = sqlite3.connect(place.folder / ".reconciler/state.db")
    with closing(database), database:
        assert database.execute(statement).rowcount == 1


def _flipped(place: Place) -> None:
    _stored(place)
    database = sqlite3.connect(place.folder / ".reconciler/state.db")
    with closing(database):
        rows = database.execute("SELECT ciphertext FROM sealed WHERE name = 'crm-token'")
        ((text,),) = rows.fetchall()
    other = text[:-8] + ("A" if text[-8] != "A" else "B") + text[-7:]
    _change(place, f"UPDATE sealed SET ciphertext = '{other}' WHERE name = 'crm-token'")


def _swapped(place: Place) -> None:
    _stored(place)
    others = "(SELECT ciphertext FROM sealed WHERE name = 'other')"
    _change(place, f"UPDATE sealed SET ciphertext = {others} WHERE name = 'crm-token'")


def _retired(place: Place) -> None:
    """Rotates to the second key, and seals one more secret with the first."""
    _stored(place)
    first, second = _KEYS.values()
    for argv, keys in (
        (("secret", "rotate-key"), f"{second},{first}"),
        (("secret", "set", "crm-token"), f"{first},{second}"),
    ):
        ended = place.run(*argv, env={"RECONCILER_KEY": keys}, stdin=CANARY.encode())
        assert ended.code == 0, ended.text


def _sealed(row: str, what: str, prepare: Prepare, says: str, key: str = "first") -> Case:
    return Case(
        row=row,
        what=what,
        prepare=prepare,
        argv=("apply",),
        exit=4,
        says=says,
        env={"RECONCILER_KEY": _KEYS[key]},
        may_record=True,
    )


# --- names that answer as they like -----------------------------------------------------------


def _named(host: str) -> Prepare:
    def prepare(place: Place) -> None:
        place.server.routes["/x"] = http_routes.answer(200)
        text = API.replace("https://crm.example.com", f"http://{host}:{place.server.port}/x")
        place.write(FILE, text + _PATIENT + _AUTH)

    return prepare


#: Answers for names below `.test`, one after the other; the last one stays.
_RESOLVER = """
import socket
before, answers = socket.getaddrinfo, ANSWERS
def getaddrinfo(host, port, *rest, **named):
    if not host.endswith(".test"):
        return before(host, port, *rest, **named)
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if not answer:
        raise socket.gaierror(socket.EAI_AGAIN, "temporary failure in name resolution")
    return [found for each in answer for found in before(each, port, *rest, **named)]
socket.getaddrinfo = getaddrinfo
"""


def _resolving(*answers: tuple[str, ...]) -> str:
    return f"ANSWERS = {list(answers)!r}\n{_RESOLVER}"


# --- servers ----------------------------------------------------------------------------------


def _behind_tls(make: Callable[[Authority], ssl.SSLContext], route: Route | None = None) -> Prepare:
    """Returns what makes an API over TLS, whose manifest trusts the authority that is given."""

    def prepare(place: Place) -> None:
        authority = Authority()
        routes = {"/": route or http_routes.answer(200)}
        server = place.running.enter_context(http_server(routes, context=make(authority)))
        place.write("ca.pem", authority.pem)
        text = API.replace("https://crm.example.com", f"{server.url}/")
        place.write(FILE, f"{text}  tls: {{ca: {{file: ca.pem}}}}\n{_PATIENT}{_AUTH}")

    return prepare


async def _to_plain_text(client: Client) -> None:
    await http_routes.redirect(f"http://127.0.0.1:{client.server.port}/")(client)


def _silent_tls(place: Place) -> None:
    port = place.running.enter_context(silent_server())
    place.write(FILE, API.replace("crm.example.com", f"127.0.0.1:{port}") + _HEALTH + _AUTH)


def _large(health: str) -> Prepare:
    """Returns what makes an API that promises 10 GiB and begins to send them."""

    def prepare(place: Place) -> None:
        first = b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n"
        place.server.routes["/x"] = http_routes.endless(first, b"a" * 65536)
        text = API.replace("https://crm.example.com", f"{place.server.url}/x")
        place.write(FILE, f"{text}  timeout: {{total: 2s}}\n  health: {health}\n{_AUTH}")

    return prepare


def _chunks(place: Place) -> None:
    _large("{timeout: 1s, expect: {text: absent}}")(place)
    place.server.routes["/x"] = http_routes.endless_chunks()


def _tunnel(known: Callable[[str, str], str]) -> Prepare:
    """Returns what makes an API behind an SSH server, whose host key is what `known` makes it."""

    def prepare(place: Place) -> None:
        ours, others = (place.running.enter_context(ssh_server()) for _ in "12")
        _through(ours, known(ours.known_hosts, others.known_hosts), place)

    return prepare


def _dying_tunnel(place: Place) -> None:
    ssh = place.running.enter_context(ssh_server())

    async def die(client: Client) -> None:
        ssh.drop()
        await client.until_gone()

    place.server.routes["/x"] = die
    _through(ssh, ssh.known_hosts, place)


def _dying_tunnel_of(engine: str, place: Place) -> None:
    ssh = place.running.enter_context(ssh_server())

    def die(client: Conversation) -> None:
        if engine == "mysql":
            client.mysql_send(0, sql_peers.mysql_greeting())
        client.receive(4)  # the way is open
        ssh.drop()
        client.wait()

    way = _way(ssh, ssh.known_hosts, place)
    _database(engine, die, more=f"  ssh: {json.dumps(way)}\n")(place)


def _through(ssh: SshServer, known: str, place: Place) -> None:
    way = _way(ssh, known, place)
    text = API.replace("https://crm.example.com", f"{place.server.url}/x")
    place.write(FILE, f"{text}  ssh: {json.dumps(way)}\n{_PATIENT}{_AUTH}")


def _way(ssh: SshServer, known: str, place: Place) -> JsonObject:
    place.write("known_hosts", known)
    place.write("secrets/ssh-key", ssh.private_key).chmod(0o600)
    return {
        "host": "127.0.0.1",
        "port": ssh.port,
        "username": "ops",
        "knownHosts": {"file": "known_hosts"},
        "privateKey": {"file": "secrets/ssh-key"},
    }


def _other_key(ours: str, others: str) -> str:
    return f"{ours.split(maxsplit=1)[0]} {' '.join(others.split()[1:])}\n"


def _database(
    engine: str, script: Callable[[Conversation], None], *, tls: str = "disable", more: str = ""
) -> Prepare:
    def prepare(place: Place) -> None:
        peer = place.running.enter_context(sql_peers.sql_peer(script))
        text = SQL.replace("db.example.com", f"127.0.0.1\n  port: {peer.port}")
        text = text.replace("postgresql", engine)
        text += f"  tls: {{mode: {tls}}}\n"
        health = "  health: {timeout: 1s}\n" if script is _say_nothing else _PATIENT
        place.write(FILE, text + health + _PASSWORD + more)

    return prepare


def _ask_for_a_file(client: Conversation) -> None:
    client.mysql_send(0, sql_peers.mysql_greeting())
    client.mysql_packet()
    client.mysql_send(2, sql_peers.MYSQL_OK)
    while not client.mysql_packet()[1:].lower().startswith(b"select"):
        client.mysql_send(1, sql_peers.MYSQL_OK)
    client.mysql_send(1, sql_peers.MYSQL_FILE_REQUEST)
    client.wait()


def _say_everything(engine: str, length: int, client: Conversation) -> None:
    hostile = b"\x1b[2J" + f"dsn=//u:{CANARY}@db".encode() + b"\xff\r\n" + b"A" * length
    if engine == "mysql":
        client.mysql_send(0, sql_peers.mysql_error(1040, "08004", hostile))
        return
    client.postgresql_start()
    client.send(sql_peers.postgresql_error("53300", hostile))


def _want_clear_text(client: Conversation) -> None:
    client.mysql_send(0, sql_peers.mysql_greeting())
    client.mysql_packet()
    client.mysql_send(2, b"\xfemysql_clear_password\0")
    client.wait()


def _want_no_tls(client: Conversation) -> None:
    client.postgresql_start()
    client.send(b"N")


def _say_nothing(client: Conversation) -> None:
    client.wait()


_ON_HOST = ("127.0.0.1",)
CASES = (
    Case(
        row="B104",
        what="MAC that is wrong, of a program in the place of sops",
        prepare=partial(_through_sops, "0" * 64),
        argv=("apply",),
        exit=4,
        operator='[secrets.exec]\nallow = [["OUTSIDE/sops", "--decrypt", "--extract"]]\n',
        says="sops ends with 51",
        may_record=True,
    ),
    Case(
        row="B104",
        what="MAC that is right, of a program in the place of sops",
        prepare=partial(_through_sops, _MAC),
        argv=("apply",),
        exit=0,
        operator='[secrets.exec]\nallow = [["OUTSIDE/sops", "--decrypt", "--extract"]]\n',
        says="200 OK",
        may_record=True,
    ),
    _sealed(
        "B106",
        "one character of a stored secret changed",
        _flipped,
        "the stored secret `crm-token` cannot be opened: it was changed, or belongs to another row",
    ),
    _sealed(
        "B107",
        "stored secret in the row of another",
        _swapped,
        "the stored secret `crm-token` cannot be opened: it was changed, or belongs to another row",
    ),
    _sealed(
        "B109",
        "key that went while a secret is sealed with it",
        _retired,
        "the stored secret `crm-token` is sealed with the key",
        key="second",
    ),
    _checked(
        "B136",
        "name that leads elsewhere when it is asked again",
        _named("flips.test"),
        "200 OK",
        code=0,
        prelude=_resolving(_ON_HOST, ("169.254.169.254",)),
    ),
    _checked(
        "B136",
        "name that leads elsewhere from the start",
        _named("flips.test"),
        "169.254.169.254 is a cloud metadata service",
        prelude=_resolving(("169.254.169.254",)),
    ),
    _checked(
        "B137",
        "name with a good address and one that is never contacted",
        _named("two.test"),
        "169.254.169.254 is a cloud metadata service",
        prelude=_resolving((*_ON_HOST, "169.254.169.254")),
    ),
    _checked(
        "B140",
        "redirect from https to http",
        _behind_tls(lambda ours: ours.server_context("127.0.0.1"), _to_plain_text),
        "302 Found: ",
    ),
    _checked(
        "B146",
        "name server that fails",
        _named("fails.test"),
        "DnsFailure",
        prelude=_resolving(()),
    ),
    _checked(
        "B151", "10 GiB where only the status counts", _large("{timeout: 1s}"), "200 OK", code=0
    ),
    _checked(
        "B151",
        "10 GiB where the body counts",
        _large("{timeout: 1s, expect: {text: absent}}"),
        "BodyTooLarge",
    ),
    _checked("B151", "chunks without an end", _chunks, "BodyTooLarge"),
    *(
        _checked("B157", what, _behind_tls(make), says)
        for what, make, says in (
            (
                "certificate that has expired",
                lambda ours: ours.server_context("127.0.0.1", expired=True),
                "CertificateExpired",
            ),
            (
                "certificate that is not valid yet",
                lambda ours: ours.server_context(
                    "127.0.0.1", not_before=datetime(2999, 1, 1, tzinfo=UTC)
                ),
                "TlsFailure",
            ),
            (
                "certificate for another host",
                lambda ours: ours.server_context("other.example"),
                "the server's certificate is for another address",
            ),
            (
                "certificate of a stranger",
                lambda _: Authority().server_context("127.0.0.1"),
                "the authority of the server's certificate",
            ),
        )
    ),
    _checked(
        "B158",
        "handshake that is never answered",
        _silent_tls,
        "the server does not finish the TLS handshake in time",
    ),
    _checked(
        "B163",
        "unknown host key",
        _tunnel(lambda _, others: others),
        "is not in the file of `knownHosts`",
    ),
    _checked(
        "B163",
        "changed host key",
        _tunnel(_other_key),
        "shows another host key than the file of `knownHosts` has for it (SHA256:",
    ),
    _checked(
        "B164",
        "SSH server that dies during the check",
        _dying_tunnel,
        "the SSH connection broke before the server had answered [TunnelFailure]",
    ),
    *(
        _checked(
            "B164",
            f"SSH server that dies during the check of {engine}",
            partial(_dying_tunnel_of, engine),
            "the SSH connection broke before the server had answered [TunnelFailure]",
        )
        for engine in ("postgresql", "mysql")
    ),
    _checked(
        "B172",
        "server that asks for a file",
        _database("mysql", _ask_for_a_file),
        "the server asks for a file of this machine; it was not sent",
    ),
    *(
        case
        for engine in ("postgresql", "mysql")
        for case in (
            _checked(
                "B181",
                f"{engine} that never greets",
                _database(engine, _say_nothing),
                "the server does not finish the login in time",
            ),
            _checked(
                "B182",
                f"{engine} with a hostile text",
                _database(engine, partial(_say_everything, engine, 20_000)),
                r"\x1b[2Jdsn=//u:***@db",
            ),
            _checked(
                "B182",
                f"{engine} with a text of 1 MiB",
                _database(engine, partial(_say_everything, engine, 1 << 20)),
                "the server ",
            ),
            _checked(
                "B185",
                f"driver of {engine} that is missing",
                _database(engine, _say_nothing),
                "DriverMissing",
                prelude="import sys\nsys.modules.update(psycopg=None, pymysql=None)\n",
            ),
        )
    ),
    _checked(
        "B184",
        "login in clear text",
        _database("mysql", _want_clear_text),
        "the server asks for a login that is too weak here; the password was not sent",
    ),
    _checked(
        "B184",
        "server that takes TLS away",
        _database("postgresql", _want_no_tls, tls="verify-full"),
        "TlsFailure",
    ),
)
