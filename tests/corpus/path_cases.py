"""Files that are not what they seem: links, devices, names, folders that are not there."""

from __future__ import annotations

import os

from tests.corpus.cases import API, CANARY, Case, Place, Prepare

_SECRET = f"password: {CANARY}\n"
_LEADS_OUT = "E020]: the link leads out of the folder that was given"
_NOT_REGULAR = "E025]: this is a device, a pipe, a socket or a folder"
_BAD_NAME = "E021]: the name holds control characters or is not UTF-8"
_NONE_FOUND = "E023]: no manifest was found"


def _link(path: str, *, to_folder: bool = False) -> Prepare:
    """Returns what makes `path` a link to a secret outside the project, or to its folder."""

    def prepare(place: Place) -> None:
        secret = place.outside / "secret.yaml"
        secret.write_text(_SECRET)
        link = place.folder / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(place.outside if to_folder else secret)

    return prepare


def _link_to(target: str, path: str) -> Prepare:
    def prepare(place: Place) -> None:
        link = place.folder / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)

    return prepare


def _hard_link(place: Place) -> None:
    secret = place.outside / "secret"
    secret.write_text(_SECRET)
    (place.folder / "manifests").mkdir()
    (place.folder / "manifests/evil.yaml").hardlink_to(secret)


def _pipe(place: Place) -> None:
    (place.folder / "manifests").mkdir()
    os.mkfifo(place.folder / "manifests/pipe.yaml")


def _many_files(place: Place) -> None:
    first = place.write("manifests/0.yaml", "")
    for number in range(1, 10_002):
        os.link(first, first.with_name(f"{number}.yaml"))


def _named(name: bytes) -> Prepare:
    def prepare(place: Place) -> None:
        folder = place.write("manifests/good.yaml", API).parent
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:
            file.write(API.replace("crm", "other").encode())

    return prepare


def _empty_folder(place: Place) -> None:
    (place.folder / "manifests").mkdir()


def _nothing(_: Place) -> None:
    """Leaves the project empty."""


def _applied_then_empty(place: Place) -> None:
    file = place.write("manifests/case.yaml", API)
    place.command("apply", "--health", "none")
    file.unlink()


CASES = (
    Case(
        row="B077",
        what="file that is a link out",
        prepare=_link("manifests/evil.yaml"),
        says=_LEADS_OUT,
    ),
    Case(
        row="B077",
        what="folder that is a link out",
        prepare=_link("manifests/evil", to_folder=True),
        says=_LEADS_OUT,
    ),
    Case(
        row="B077",
        what="all manifests are a link out",
        prepare=_link("manifests", to_folder=True),
        says=_LEADS_OUT,
    ),
    Case(
        row="B077",
        what="given file that is a link out",
        prepare=_link("evil.yaml"),
        argv=("validate", "evil.yaml"),
        says=_LEADS_OUT,
    ),
    Case(
        row="B077",
        what="glob of a link out",
        prepare=_link("evil", to_folder=True),
        argv=("validate", "e*/*.yaml"),
        says=_LEADS_OUT,
    ),
    Case(
        row="B077",
        what="link to itself",
        prepare=_link_to("evil.yaml", "manifests/evil.yaml"),
        says="E001]: the target of the link does not exist",
    ),
    Case(
        row="B077",
        what="link to the own process",
        prepare=_link_to("/proc/self", "manifests"),
        says=_LEADS_OUT,
    ),
    Case(
        row="B077",
        what="project file that is a link out",
        prepare=_link("reconciler.toml"),
        exit=2,
        says="error: reconciler.toml",
    ),
    Case(row="B079", what="hard link", prepare=_hard_link, says="E102]: `kind` is required"),
    Case(
        row="B082",
        what="endless device",
        prepare=_nothing,
        argv=("validate", "/dev/zero"),
        says=_NOT_REGULAR,
    ),
    Case(row="B082", what="pipe that nobody writes to", prepare=_pipe, says=_NOT_REGULAR),
    Case(
        row="B083",
        what="10,002 files",
        prepare=_many_files,
        says="E022]: more than 10000 manifest files were found",
    ),
    Case(row="B085", what="line end in a name", prepare=_named(b"a\nb.yaml"), says=_BAD_NAME),
    Case(row="B085", what="escape in a name", prepare=_named(b"\x1b]0;x\x07.yml"), says=_BAD_NAME),
    Case(row="B086", what="name that is not UTF-8", prepare=_named(b"\xe9.yaml"), says=_BAD_NAME),
    Case(row="B089", what="empty folder", prepare=_empty_folder, says=_NONE_FOUND),
    Case(
        row="B089",
        what="plan of a folder emptied",
        prepare=_applied_then_empty,
        argv=("plan", "--prune"),
        says=_NONE_FOUND,
    ),
    Case(
        row="B089",
        what="apply of a folder emptied",
        prepare=_applied_then_empty,
        argv=("apply", "--prune", "--yes"),
        says=_NONE_FOUND,
    ),
    Case(
        row="B089",
        what="folder that does not exist",
        prepare=_nothing,
        argv=("plan", "nowhere"),
        says="E024]: the path does not exist",
    ),
    Case(
        row="B089",
        what="project without manifests",
        prepare=_nothing,
        argv=("plan",),
        says=_NONE_FOUND,
    ),
)
