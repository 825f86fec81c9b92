"""P16: denied addresses get no packet, however they are spelled and whoever would contact them.

Two oracles: an audit hook that sees every connection that the command begins, for addresses that
are never contacted; and listeners on every address of this machine, for those that the profile
`restricted` does not contact. The same manifests under the profile `trusted` show that the
listeners would have been reached.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncssh
import pytest

from reconciler.kinds.engines import ENGINES
from reconciler.model import Json, JsonObject
from tests.corpus.zygote import Ended, Zygote
from tests.reliability.figures import Record
from tests.servers.sinks import Sink, sink

#: Ways to write a few addresses that are never contacted.
NEVER = (
    *("169.254.169.254", "169.254.43518", "169.16689662", "2852039166", "0xa9fea9fe"),
    *("0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "0251.254.0xa9.254", "0xa9.16689662"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[0:0:0:0:0:ffff:a9fe:a9fe]"),
    *("[::169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a9fe:a9fe]"),
    *("[2002:a9fe:a9fe::1]", "[2001:0:a9fe:a9fe::1]", "[fd00:ec2::254]", "[FD00:0EC2::0254]"),
    *("169.254.170.2", "100.100.100.200", "0x64.0x64.0x64.0xc8", "1684301000", "168.63.129.16"),
    *("[64:ff9b::168.63.129.16]", "192.0.0.192", "[fd20:ce::254]", "0", "0.0.0.0", "0x0", "00.0"),
    *("[::]", "[::0]", "[::ffff:0.0.0.0]", "169.254.0.1", "[fe80::1]", "[febf::1]", "224.0.0.1"),
    *("239.255.255.250", "0xe0000001", "3758096385", "[ff02::1]", "[::ffff:224.0.0.1]"),
    *("255.255.255.255", "4294967295", "0xffffffff"),
)
#: Ways to write addresses of this machine.
LOOPBACK = (
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1"),
    *("0177.1", "0x7F.0x0.0x0.0x1", "017700000001", "127.0.0.2", "127.255.255.254", "0x7f.65535"),
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[0:0:0:0:0:ffff:7f00:1]", "[::ffff:127.0.0.2]", "localhost", "LOCALHOST"),
)
#: Ways that lead to this machine only where a gateway unwraps them, and other internal addresses.
INTERNAL = (
    *("[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2001:0:7f00:1::1]"),
    *("10.0.0.1", "0xa000001", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fd12:3456::1]"),
    *("[::ffff:10.0.0.1]", "[fec0::1]", "198.18.0.1", "192.0.2.1", "[2001:db8::1]", "240.0.0.1"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    (made / "manifests").mkdir(parents=True)
    return made


@pytest.fixture
def everywhere() -> Iterator[Sink]:
    """Listens on every IPv4 address of this machine, and on one port with it on IPv6."""
    with sink("0.0.0.0") as there, sink("::1", there.port) as beside:
        beside.pieces = there.pieces
        yield there


def declare(folder: Path, specs: Mapping[str, JsonObject], kind: str = "ApiConnection") -> None:
    documents = [
        {
            "apiVersion": "reconciler/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {"timeout": {"connect": "1s"}, "health": {"timeout": "2s"}, **spec},
        }
        for name, spec in specs.items()
    ]
    text = "---\n".join(json.dumps(document) + "\n" for document in documents)
    (folder / "manifests" / f"{kind}.yaml").write_text(text)


def run(
    command: Zygote, folder: Path, *argv: str, network: str = "", prelude: str = ""
) -> tuple[Ended, dict[str, str]]:
    """Returns how a command ended, and the reason of each check by name."""
    file = folder.parent / "operator.toml"
    file.write_text(f"[network]\n{network}\n")
    file.chmod(0o600)
    ended = command(
        *(*argv, "-o", "json"),
        folder=folder,
        env={"RECONCILER_OPERATOR_CONFIG": str(file), "TOKEN": "any-token"},
        is_watched=True,
        prelude=prelude,
    )
    checks = json.loads(ended.stdout)
    checks = checks.get("health", checks)["checks"]
    return ended, {check["name"]: check["observation"]["reason"] for check in checks}


def connections(ended: Ended) -> list[str]:
    """Returns what the command began to connect to; names are resolved by the system."""
    told = (" ".join(map(str, event)) for event in ended.events)
    return [text for text in told if text.startswith(("socket.connect", "socket.sendto"))]


def apis(hosts: tuple[str, ...], port: int) -> dict[str, JsonObject]:
    return {f"a{number}": {"baseUrl": f"http://{host}:{port}"} for number, host in enumerate(hosts)}


RESTRICTED = 'profile = "restricted"'


def test_address_that_is_never_contacted_gets_no_packet(
    command: Zygote, folder: Path, figure: Record
) -> None:
    declare(folder, apis(NEVER, 80))
    ended, reasons = run(command, folder, "apply")
    assert reasons == dict.fromkeys(apis(NEVER, 80), "DestinationDenied")
    assert connections(ended) == []
    figure("P16", "spellings of denied addresses", len(NEVER), "packets", 0)


def test_restricted_profile_contacts_nothing_internal(
    command: Zygote, folder: Path, everywhere: Sink, figure: Record
) -> None:
    hosts = (*LOOPBACK, *INTERNAL)
    declare(folder, apis(hosts, everywhere.port))
    ended, reasons = run(command, folder, "apply", network=RESTRICTED)
    assert reasons == dict.fromkeys(apis(hosts, everywhere.port), "DestinationDenied")
    assert (connections(ended), everywhere.received) == ([], b"")
    figure("P16", "spellings of denied addresses", len(hosts), "packets", 0)


def test_trusted_profile_contacts_this_machine(
    command: Zygote, folder: Path, everywhere: Sink
) -> None:
    """Else nothing was tested: every one of these spellings leads to the listeners."""
    declare(folder, apis(LOOPBACK, everywhere.port))
    ended, reasons = run(command, folder, "apply")
    assert "DestinationDenied" not in reasons.values()
    assert len(connections(ended)) >= len(LOOPBACK)
    assert everywhere.received.count(b"GET / ") == len(LOOPBACK)


def sql(engine: str, host: str, port: int) -> dict[str, Json]:
    place = {"engine": engine, "host": host, "port": port, "database": "d"}
    row = ENGINES[engine]
    options = {option.name: "abc" for option in row.options if option.is_required}
    if "accessToken" in row.methods:
        token = {"method": "accessToken", "token": {"env": "TOKEN"}}
        return {**place, "auth": token, "options": options}
    password = {"method": "password", "username": "report", "password": {"env": "TOKEN"}}
    auth = {} if "none" in row.methods else {"auth": password}
    return {**place, "tls": {"mode": "disable"}, **auth}


def ssh(host: str, port: int, **others: Json) -> dict[str, Json]:
    return {
        "host": host,
        "port": port,
        "username": "ops",
        "password": {"env": "TOKEN"},
        "knownHosts": {"file": "known_hosts"},
        **others,
    }


#: One for each driver that makes its own way to a server.
#: Of each driver one; BigQuery's goes the way of Snowflake's, once it could read a key.
_ENGINES = (
    "postgresql", "mysql", "clickhouse", "trino", "oracle", "vertica", "firebird", "mssql",
    "snowflake", "databricks",
)  # fmt: skip
_HOSTS = ("127.0.0.1", "0x7f.1", "::ffff:127.0.0.1", "localhost", "169.254.169.254", "2852039166")


def test_databases_hops_and_sockets_are_judged_as_well(
    command: Zygote, folder: Path, everywhere: Sink, figure: Record
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    (folder / "known_hosts").write_text(f"* {key}")
    port = everywhere.port
    databases = {
        f"{engine}{number}": sql(engine, host, port)
        for engine in _ENGINES
        for number, host in enumerate(_HOSTS)
    }
    databases |= {
        f"socket-{engine}": {"engine": engine, "database": "d", "socket": "/run/x/.s.PGSQL.5432"}
        for engine in ("postgresql", "mysql")
    }
    away = {"baseUrl": "http://192.0.2.1"}
    ways: dict[str, JsonObject] = {"socket": {"baseUrl": "http://x", "socket": "/run/docker.sock"}}
    for number, host in enumerate(_HOSTS):
        bracketed = f"[{host}]" if ":" in host else host
        for scheme in ("http", "https", "socks5"):
            url = f"{scheme}://{bracketed}:{port}"
            ways[f"{scheme}{number}"] = {"baseUrl": "http://8.8.8.8", "proxy": {"url": url}}
        ways[f"ssh{number}"] = {"baseUrl": "http://8.8.8.8", "ssh": ssh(host, port)}
        jump = ssh(host, port)
        ways[f"jump{number}"] = {**away, "ssh": ssh("127.0.0.1", port, jump=jump)}
    # nothing here waits for anybody, but a busy machine may take its time to look names up
    patient: JsonObject = {"timeout": {"connect": "30s"}, "health": {"timeout": "60s"}}
    declare(folder, {name: {**spec, **patient} for name, spec in ways.items()})
    patient_databases = {name: {**spec, **patient} for name, spec in databases.items()}
    declare(folder, patient_databases, "SqlConnection")
    ended, reasons = run(command, folder, "apply", network=RESTRICTED)
    assert reasons == dict.fromkeys((*ways, *databases), "DestinationDenied")
    assert (connections(ended), everywhere.received) == ([], b"")
    figure("P16", "databases, hops and sockets", len(reasons), "packets", 0)


#: `NAMES` maps a name to the answers that it gets one after the other; the last one stays.
_RESOLVER = """
import socket
before = socket.getaddrinfo
def getaddrinfo(host, port, *rest, **named):
    answers = NAMES.get(host)
    if answers is None:
        return before(host, port, *rest, **named)
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    return [found for each in answer for found in before(each, port, *rest, **named)]
socket.getaddrinfo = getaddrinfo
"""
_DENY = 'deny = ["127.0.0.2"]'


def test_one_denied_address_of_a_name_denies_all_of_them(
    command: Zygote, folder: Path, everywhere: Sink, figure: Record
) -> None:
    names = {
        "first.test": [["127.0.0.2", "127.0.0.1"]],
        "last.test": [["127.0.0.1", "127.0.0.2"]],
        "mapped.test": [["127.0.0.1", "::ffff:127.0.0.2"]],
        "metadata.test": [["127.0.0.1", "169.254.169.254"]],
    }
    declare(folder, apis(tuple(names), everywhere.port))
    prelude = f"NAMES = {names!r}\n{_RESOLVER}"
    ended, reasons = run(command, folder, "apply", network=_DENY, prelude=prelude)
    assert reasons == dict.fromkeys(apis(tuple(names), 1), "DestinationDenied")
    assert (connections(ended), everywhere.received) == ([], b"")
    figure("P16", "names with several addresses", len(names), "packets", 0)


def test_name_that_changes_its_answer_is_contacted_where_it_was_judged(
    command: Zygote, folder: Path, figure: Record
) -> None:
    with sink("127.0.0.1") as good, sink("127.0.0.2", good.port) as bad:
        names = {"flips.test": [["127.0.0.1"], ["127.0.0.2"]]}
        prelude = f"NAMES = {names!r}\n{_RESOLVER}"
        flips = {"baseUrl": f"http://flips.test:{good.port}"}
        declare(folder, {"api": flips})
        run(command, folder, "apply", network=_DENY, prelude=prelude)
        assert (good.connections, bad.connections) == (1, 0)
        _, reasons = run(
            *(command, folder, "health"),
            network=_DENY,
            prelude=prelude.replace("[['127.0.0.1'], ", "["),
        )
        assert reasons == {"api": "DestinationDenied"}
        for engine in _ENGINES:
            declare(folder, {engine: sql(engine, "flips.test", good.port)}, "SqlConnection")
            (folder / "manifests" / "ApiConnection.yaml").unlink(missing_ok=True)
            run(command, folder, "apply", network=_DENY, prelude=prelude)
        assert bad.connections == 0
        assert good.connections >= 1
    figure("P16", "names that change their answer", 1 + len(_ENGINES), "packets", 0)


def test_listed_addresses_are_contacted_in_the_restricted_profile(
    command: Zygote, folder: Path, everywhere: Sink
) -> None:
    declare(folder, apis(("127.0.0.1", "127.0.0.3", "localhost"), everywhere.port))
    network = f'{RESTRICTED}\nallow = ["127.0.0.0/30:{everywhere.port}", "[::1]"]'
    network += '\ndeny = ["127.0.0.3"]'
    _, reasons = run(command, folder, "apply", network=network)
    assert reasons.pop("a1") == "DestinationDenied"
    assert "DestinationDenied" not in reasons.values()


def keep_state(folder: Path, url: str) -> None:
    (folder / "reconciler.toml").write_text(f'[state]\nurl = "{url}"\n')


def seek_state(
    command: Zygote, folder: Path, network: str = "", prelude: str = "", **env: str
) -> Ended:
    """Returns how a command ended that can do nothing without the state."""
    file = folder.parent / "operator.toml"
    file.write_text(f"{network}\n")
    file.chmod(0o600)
    env["RECONCILER_OPERATOR_CONFIG"] = str(file)
    return command("state", "info", folder=folder, env=env, prelude=prelude)


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "0x0", "[::]", "[::ffff:0.0.0.0]", "0.0.0.1"])
def test_state_is_not_sought_at_an_address_that_is_never_contacted(
    host: str, command: Zygote, folder: Path, everywhere: Sink, figure: Record
) -> None:
    """Linux connects to itself where no address is given, so that a packet would be seen."""
    url = f"postgresql://u:p@{host}:{everywhere.port}/s"
    keep_state(folder, url)
    for ended in (
        seek_state(command, folder),
        seek_state(command, folder, RECONCILER_STATE=url),
        seek_state(command, folder, f'[state]\nurl = "{url}"'),
    ):
        assert (ended.code, everywhere.connections) == (8, 0), ended.text
        assert "is an unspecified address, which is never contacted" in ended.text
    figure("P16", "places of the state", 3, "packets", 0)


def test_state_of_the_project_file_is_restricted_as_connections_are(
    command: Zygote, folder: Path, everywhere: Sink, figure: Record
) -> None:
    restricted = f"[network]\n{RESTRICTED}"
    for host in ("127.0.0.1", "2130706433", "[::1]", "localhost", "[::ffff:127.0.0.1]"):
        keep_state(folder, f"postgresql://u:p@{host}:{everywhere.port}/s")
        ended = seek_state(command, folder, restricted)
        assert (ended.code, everywhere.connections) == (8, 0), ended.text
        assert "a loopback address, which the profile `restricted` does not contact" in ended.text
    for place in ("?host=/run/x", "?host=@x", "", f"?host=8.8.8.8&host=127.1:{everywhere.port}"):
        keep_state(folder, f"postgresql:///s{place}")
        ended = seek_state(command, folder, restricted)
        assert (ended.code, everywhere.connections) == (8, 0), ended.text
    figure("P16", "places of the state", 9, "packets", 0)


def test_state_that_is_no_word_of_the_project_file_may_be_internal(
    command: Zygote, folder: Path, everywhere: Sink
) -> None:
    """Else nothing was tested; whoever runs the command, or the machine, knows where it is."""
    url = f"postgresql://u:p@127.0.0.1:{everywhere.port}/s?sslmode=disable"
    restricted = f"[network]\n{RESTRICTED}"
    seek_state(command, folder, restricted, RECONCILER_STATE=url)
    seek_state(command, folder, f'[state]\nurl = "{url}"\n{restricted}')
    keep_state(folder, url)
    seek_state(command, folder)
    seek_state(command, folder, f'{restricted}\nallow = ["127.0.0.1:{everywhere.port}"]')
    assert everywhere.connections == 4


def test_state_is_contacted_where_it_was_judged(
    command: Zygote, folder: Path, figure: Record
) -> None:
    with sink("127.0.0.1") as good, sink("127.0.0.2", good.port) as bad:
        prelude = f"NAMES = {{'flips.test': [['127.0.0.1'], ['127.0.0.2']]}}\n{_RESOLVER}"
        keep_state(folder, f"postgresql://u:p@flips.test:{good.port}/s?sslmode=disable")
        network = f'[network]\n{RESTRICTED}\nallow = ["127.0.0.1"]'
        seek_state(command, folder, network, prelude)
        assert (good.connections, bad.connections) == (1, 0)
    figure("P16", "names that change their answer", 1, "packets", 0)


def test_state_of_the_operator_is_not_moved_by_the_project(
    command: Zygote, folder: Path, everywhere: Sink
) -> None:
    keep_state(folder, f"postgresql://u:p@127.0.0.1:{everywhere.port}/s?sslmode=disable")
    ended = seek_state(command, folder, '[state]\nurl = "sqlite:///kept.db"')
    assert (ended.code, everywhere.connections) == (2, 0)
    assert "`state.url` differs from the one of the operator file" in ended.text
