"""Secrets that are not there, are not allowed, or are no secrets."""

from __future__ import annotations

from collections.abc import Sequence

from tests.corpus.cases import API, CANARY, Case, Place, Prepare, api
from tests.servers import http_routes


def _bearer(reference: str, content: bytes | None = None, mode: int = 0o600) -> Prepare:
    def prepare(place: Place) -> None:
        place.server.routes["/"] = http_routes.answer(200)
        text = API.replace("https://crm.example.com", place.server.url + "/")
        place.write("manifests/case.yaml", f"{text}  auth: {{method: bearer, token: {reference}}}\n")
        if content is not None:
            place.write("secrets/token", content).chmod(mode)

    return prepare


def _fails(row: str, what: str, prepare: Prepare, says: str, **env: str) -> Case:
    return Case(row=row, what=what, prepare=prepare, argv=("apply",), exit=4, says=says, env=env, records=True)


_FILE = "{file: secrets/token}"

def _rotated(place: Place) -> None:
    _bearer("{env: TOKEN}")(place)
    place.command("apply", env={"TOKEN": f"{CANARY}-1"})


CASES = (
    _fails("B091", "variable that is not set", _bearer("{env: MISSING}"), ""),
    _fails("B092", "variable that is empty", _bearer("{env: EMPTY}"), "", EMPTY=""),
    *(
        Case(row="B094", what=f"variable {name}", prepare=_bearer(f"{{env: {name}}}"), says="E")
        for name in ("RECONCILER_KEY", "RECONCILER_STATE", "PATH", "HOME", "LD_PRELOAD", "PYTHONPATH", "reconciler_key", "DYLD_X")
    ),
    *(
        Case(row="B095", what=f"file {path}", prepare=_bearer(f"{{file: {path}}}"), says="E")
        for path in ("/proc/self/environ", "../../key", "/etc/shadow", "/etc/ssl/x", "~/.ssh/id_rsa", "secrets/../../key", "/run/secrets/../shadow", "''", "/")
    ),
    _fails("B097", "file of 2 MiB", _bearer(_FILE, CANARY.encode() * 120_000), ""),
    _fails("B097", "file with a NUL", _bearer(_FILE, CANARY.encode() + b"\0x"), ""),
    _fails("B097", "file that is not UTF-8", _bearer(_FILE, CANARY.encode() + b"\xff"), ""),
    _fails("B097", "empty file", _bearer(_FILE, b""), ""),
    _fails("B097", "file with a line end only", _bearer(_FILE, b"\n"), ""),
    _fails("B097", "variable that is not UTF-8", _bearer("{env: TOKEN}"), "", TOKEN=f"{CANARY}\udcff"),
    Case(row="B098", what="file that everybody can read", prepare=_bearer(_FILE, CANARY.encode(), 0o644), argv=("apply",), exit=0, says="readable by everybody", records=True),
    Case(row="B100", what="value that looks like a reference", prepare=_bearer("{env: TOKEN}"), env={"TOKEN": "${env:OTHER}", "OTHER": CANARY}, argv=("apply",), exit=0, says="", records=True),
    Case(row="B103", what="address of a vault", prepare=api(f"auth: {{method: bearer, token: {{vault: {{address: 'http://x', path: {CANARY}}}}}}}"), says="E"),
    Case(row="B112", what="rotated secret", prepare=_rotated, env={"TOKEN": f"{CANARY}-2"}, argv=("plan", "--secrets", "--detailed-exitcode"), exit=10, says=""),
)
