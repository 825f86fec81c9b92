"""A real directory, OpenLDAP's slapd, as a private process on a free loopback port.

Its configuration, its data and its log lie in a folder of their own; nothing under `/etc` is read
but the schemas of the package. The log has a line for each bind with its name, which is what tests
count. Where slapd is not installed its tests are skipped; under `CI=true` that is a failure.

    with start_slapd(people={"report": "right"}) as directory:
        ...  directory.port, directory.binds("uid=report,...")
"""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HOST = "127.0.0.1"
SUFFIX = "dc=example,dc=com"
PEOPLE = f"ou=people,{SUFFIX}"
#: Whom a server that looks for users binds as first.
SEARCHER = f"cn=searcher,{SUFFIX}"
SEARCHER_PASSWORD = "search-4711"

#: Attempts to start: another process may take the free port first.
_STARTS = 3
#: Looks at a starting server, `_LOOK_S` seconds apart at most.
_LOOKS = 600
_LOOK_S = 0.05
_STOP_S = 10.0
#: slapd.conf(5): binds, operations and results are logged.
_STATS = "256"
_SCHEMAS = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A running directory; `stop` ends it before its time."""

    port: int
    log_path: Path
    process: subprocess.Popen[bytes]

    def binds(self, name: str) -> int:
        """Returns how many binds with a password were tried as the distinguished name `name`."""
        return self.log_path.read_text(errors="replace").count(f'BIND dn="{name}" method=128')

    def stop(self) -> None:
        """Ends the server, if it still runs; its port then refuses connections."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def start_slapd(*, people: Mapping[str, str]) -> Iterator[Directory]:
    """Runs a directory for the length of the block, in which `people` have passwords by name.

    A person is `uid=NAME,{PEOPLE}`; anonymous readers see nothing, `SEARCHER` sees the names.
    """
    program = require_binary("slapd")
    loader = require_binary("slapadd")
    folder = Path(tempfile.mkdtemp(prefix="slapd-"))
    try:
        owner = _unprivileged_user()
        _write_files(folder, people)
        _give(folder, owner)
        _load(loader, folder, owner)
        directory = _start(program, folder, owner)
        try:
            yield directory
        finally:
            directory.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_binary(name: str) -> str:
    """Returns the path of a program; skips the test where there is none, fails it in CI."""
    found = shutil.which(name, path=os.pathsep.join((os.defpath, "/usr/sbin", "/sbin")))
    if found is None:
        message = "slapd is not installed: run tests/servers/install.sh"
        if os.environ.get("CI") == "true":  # noqa: TID251  # the mark of a CI service
            pytest.fail(message)
        pytest.skip(message)
    return found


def _write_files(folder: Path, people: Mapping[str, str]) -> None:
    (folder / "data").mkdir(mode=0o700)
    (folder / "slapd.conf").write_text(
        "\n".join(
            [
                *(f"include {_SCHEMAS / name}.schema" for name in ("core", "cosine")),
                f"include {_SCHEMAS / 'inetorgperson.schema'}",
                f"modulepath {_MODULES}",
                "moduleload back_mdb",
                f"pidfile {folder / 'slapd.pid'}",
                "database mdb",
                f'suffix "{SUFFIX}"',
                f"directory {folder / 'data'}",
                "maxsize 10485760",
                "access to attrs=userPassword by anonymous auth by * none",
                f'access to * by dn.exact="{SEARCHER}" read by * none',
                "",
            ]
        ),
        encoding="utf-8",
    )
    entries = [
        f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\n",
        f"dn: {PEOPLE}\nobjectClass: organizationalUnit\n",
        f"dn: {SEARCHER}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\n"
        + _password(SEARCHER_PASSWORD),
        *(
            f"dn: uid={name},{PEOPLE}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\n"
            + _password(password)
            for name, password in people.items()
        ),
    ]
    (folder / "entries.ldif").write_text("\n".join(entries), encoding="utf-8")


def _password(text: str) -> str:
    """Returns a line of LDIF, in base64, since only ASCII is written as it is (RFC 2849)."""
    return f"userPassword:: {base64.b64encode(text.encode()).decode()}\n"


def _load(program: str, folder: Path, owner: str | None) -> None:
    loaded = subprocess.run(
        [program, "-q", "-f", folder / "slapd.conf", "-l", folder / "entries.ldif"],
        check=False,
        user=owner,
        group=_group(owner),
        extra_groups=[] if owner else None,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
    )
    if loaded.returncode != 0:
        pytest.fail(f"slapadd failed: {loaded.stderr}")


def _start(program: str, folder: Path, owner: str | None) -> Directory:
    log_path = folder / "slapd.log"
    for _ in range(_STARTS):
        port = _free_port()
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                # with a debug level it stays in the foreground (slapd(8))
                [
                    program,
                    *("-f", folder / "slapd.conf", "-h", f"ldap://{HOST}:{port}", "-d", _STATS),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=owner,
                group=_group(owner),
                extra_groups=[] if owner else None,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
            )
        directory = Directory(port=port, log_path=log_path, process=process)
        if _is_ready(directory):
            return directory
    pytest.fail(f"slapd does not start: {log_path.read_text(errors='replace')[-2000:]}")


def _is_ready(directory: Directory) -> bool:
    """Waits until the server says that it takes connections, or has ended."""
    for _ in range(_LOOKS):
        if b"slapd starting" in directory.log_path.read_bytes():
            return True
        try:
            directory.process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        return False
    directory.stop()
    return False


def _unprivileged_user() -> str | None:
    """Returns whom to run as in place of root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("openldap", "nobody") if name in known)


def _give(folder: Path, owner: str | None) -> None:
    if owner is not None:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, owner, _group(owner))


def _group(owner: str | None) -> int | None:
    return pwd.getpwnam(owner).pw_gid if owner else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
