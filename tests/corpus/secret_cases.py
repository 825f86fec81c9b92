"""Secrets that are not there, are not allowed, or are no secrets."""

from __future__ import annotations

from tests.corpus.cases import API, CANARY, Case, Place, Prepare, api
from tests.servers import http_routes

_VARIABLE, _FILE = "{env: TOKEN}", "{file: secrets/token}"
_OUTSIDE = "E302]: the reference is refused: the file is outside the project root"


def _bearer(reference: str, content: bytes | None = None, *, mode: int = 0o600) -> Prepare:
    """Returns what makes an API that takes any token, given by `reference`."""

    def prepare(place: Place) -> None:
        place.server.routes["/"] = http_routes.answer(200)
        text = API.replace("https://crm.example.com", f"{place.server.url}/")
        place.write("manifests/case.yaml", f"{text}  auth: {{method: bearer, token: {reference}}}")
        if content is not None:
            place.write("secrets/token", content).chmod(mode)

    return prepare


def _link_out(place: Place) -> None:
    (place.outside / "key").write_text(CANARY)
    _bearer("{file: token}")(place)
    (place.folder / "token").symlink_to(place.outside / "key")


def _rotated(place: Place) -> None:
    _bearer(_VARIABLE)(place)
    place.command("apply", env={"TOKEN": f"{CANARY}-1"})


def _applied_without(place: Place) -> None:
    _bearer(_VARIABLE)(place)
    place.command("apply", "--health", "none")


def _unresolved(row: str, what: str, prepare: Prepare, says: str, **env: str) -> Case:
    return Case(
        row=row,
        what=what,
        prepare=prepare,
        argv=("apply",),
        exit=4,
        says=says,
        env=env,
        may_record=True,
    )


CASES = (
    _unresolved("B091", "variable that is not set", _bearer(_VARIABLE), "TOKEN is not set"),
    Case(
        row="B091",
        what="variable that is not set for a check",
        prepare=_applied_without,
        argv=("health", "--allow-unhealthy"),
        exit=4,
        says="the environment variable TOKEN is not set",
        may_record=True,
    ),
    _unresolved("B092", "empty variable", _bearer(_VARIABLE), "TOKEN is empty", TOKEN=""),
    *(
        Case(
            row="B094",
            what=f"variable {name}",
            prepare=_bearer(f"{{env: {name}}}"),
            says=f"E302]: the reference is refused: the environment variable {name} is never given",
        )
        for name in (
            *("RECONCILER_KEY", "RECONCILER_STATE", "PATH", "HOME"),
            *("LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONPATH"),
        )
    ),
    *(
        Case(row="B095", what=f"file {path}", prepare=_bearer(f"{{file: {path}}}"), says=_OUTSIDE)
        for path in (
            *("/proc/self/environ", "../../key", "/etc/shadow", "/etc/ssl/private/key", "/"),
            *("secrets/../../key", "/run/secrets/../shadow"),
        )
    ),
    _unresolved("B095", "file that is a link out", _link_out, "the file token is outside"),
    _unresolved(
        "B097",
        "file of 2 MiB",
        _bearer(_FILE, CANARY.encode() * 120_000),
        "secrets/token is longer than 64 KiB",
    ),
    _unresolved(
        "B097",
        "file with a NUL",
        _bearer(_FILE, CANARY.encode() + b"\0"),
        "secrets/token has a NUL character",
    ),
    _unresolved(
        "B097",
        "file that is not UTF-8",
        _bearer(_FILE, CANARY.encode() + b"\xff"),
        "secrets/token is not UTF-8",
    ),
    _unresolved("B097", "empty file", _bearer(_FILE, b""), "secrets/token is empty"),
    _unresolved("B097", "file of one line end", _bearer(_FILE, b"\n"), "secrets/token is empty"),
    _unresolved(
        "B097",
        "variable that is not UTF-8",
        _bearer(_VARIABLE),
        "TOKEN is not UTF-8",
        TOKEN=f"{CANARY}\udcff",
    ),
    Case(
        row="B098",
        what="file that everybody can read",
        prepare=_bearer(_FILE, CANARY.encode(), mode=0o644),
        argv=("apply",),
        exit=0,
        says="warning: the file secrets/token is readable by everybody on this machine",
        may_record=True,
    ),
    Case(
        row="B100",
        what="value that looks like a reference",
        prepare=_bearer(_VARIABLE),
        argv=("apply",),
        env={"TOKEN": "${env:OTHER}", "OTHER": CANARY},
        exit=0,
        says="200 OK",
        may_record=True,
    ),
    *(
        Case(
            row="B101",
            what=f"path {path}",
            prepare=api(
                f"auth: {{method: bearer, token: {{vault: {{path: '{path}', field: {CANARY}}}}}}}"
            ),
            says="E303]: the reference in `spec.auth.token` is not in the form of `vault`",
        )
        for path in ("apps/../../sys/raw", "..", "a?list=true", "a#b", "a/%2e%2e/b", "/a", "a//b")
    ),
    Case(
        row="B103",
        what="address of a vault beside the path",
        prepare=api(
            "auth: {method: bearer, token: "
            f"{{vault: {{path: a, field: b, address: 'https://{CANARY}'}}}}}}"
        ),
        says="has an unknown field in `vault`: it takes `field`, `mount`, `path` and `version`",
    ),
    Case(
        row="B103",
        what="address of a vault",
        prepare=api(f"auth: {{method: bearer, token: {{vault: {{address: '{CANARY}'}}}}}}"),
        says="E303]: the reference in `spec.auth.token` lacks `path` and `field` in `vault`",
    ),
    Case(
        row="B112",
        what="rotated secret",
        prepare=_rotated,
        argv=("plan", "--secrets", "--detailed-exitcode"),
        env={"TOKEN": f"{CANARY}-2"},
        exit=10,
        says="1 secret changed",
    ),
)
