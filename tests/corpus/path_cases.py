"""Files that are not what they seem: links, devices, names, folders that are not there."""

from __future__ import annotations

import os

from tests.corpus.cases import API, CANARY, Case, Place

_SECRET = f"password: {CANARY}\n"


def _link_out(place: Place) -> None:
    (place.outside / "secret").write_text(_SECRET)
    place.write("manifests/good.yaml", API)
    (place.folder / "manifests/evil.yaml").symlink_to(place.outside / "secret")


def _folder_link_out(place: Place) -> None:
    (place.outside / "secret.yaml").write_text(_SECRET)
    place.write("manifests/good.yaml", API)
    (place.folder / "manifests/evil").symlink_to(place.outside)


def _project_link_out(place: Place) -> None:
    (place.outside / "secret.yaml").write_text(_SECRET)
    (place.folder / "manifests").symlink_to(place.outside)


def _link_to_itself(place: Place) -> None:
    place.write("manifests/good.yaml", API)
    (place.folder / "manifests/evil.yaml").symlink_to("evil.yaml")


def _hard_link(place: Place) -> None:
    secret = place.outside / "secret"
    secret.write_text(_SECRET)
    (place.folder / "manifests").mkdir()
    (place.folder / "manifests/evil.yaml").hardlink_to(secret)


def _pipe(place: Place) -> None:
    place.write("manifests/good.yaml", API)
    os.mkfifo(place.folder / "manifests/pipe.yaml")


def _many_files(place: Place) -> None:
    folder = place.folder / "manifests"
    folder.mkdir()
    (folder / "0.yaml").touch()
    for number in range(1, 10_002):
        os.link(folder / "0.yaml", folder / f"{number}.yaml")


def _named(name: bytes) -> None:
    def prepare(place: Place) -> None:
        place.write("manifests/good.yaml", API)
        with open(os.fsencode(place.folder / "manifests") + b"/" + name, "wb") as file:
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
    Case(row="B077", what="link out of the project", prepare=_link_out, says="E"),
    Case(row="B077", what="link of a folder out of the project", prepare=_folder_link_out, says="E"),
    Case(row="B077", what="link of all manifests out of the project", prepare=_project_link_out, says="E"),
    Case(row="B077", what="link to itself", prepare=_link_to_itself, says="E"),
    Case(row="B077", what="link to the process", prepare=lambda p: (p.folder/"manifests").symlink_to("/proc/self"), says="E"),
    Case(row="B079", what="hard link", prepare=_hard_link, says="E"),
    Case(row="B082", what="endless device", prepare=_nothing, argv=("validate", "/dev/zero"), says="E"),
    Case(row="B082", what="pipe that nobody writes to", prepare=_pipe, says="E"),
    Case(row="B083", what="10,002 files", prepare=_many_files, says="E"),
    Case(row="B085", what="line end in a file name", prepare=_named(b"a\nb.yaml"), says="E"),
    Case(row="B085", what="escape in a file name", prepare=_named(b"a\x1b]0;x\x07.yaml"), says="E"),
    Case(row="B086", what="file name that is not UTF-8", prepare=_named(b"caf\xe9.yaml"), says="E"),
    Case(row="B089", what="validate of an empty folder", prepare=_empty_folder, says="E"),
    Case(row="B089", what="plan of an empty folder", prepare=_applied_then_empty, argv=("plan", "--prune"), says="E"),
    Case(row="B089", what="apply of an empty folder", prepare=_applied_then_empty, argv=("apply", "--prune", "--yes"), says="E"),
    Case(row="B089", what="folder that does not exist", prepare=_nothing, argv=("plan", "nowhere"), says="E"),
    Case(row="B089", what="project without manifests", prepare=_nothing, argv=("plan",), says="E"),
)
