"""Finding and reading files: what is read, what is refused, and what may never be opened."""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import beneath
from reconciler.manifests import findings, read
from reconciler.model import Diagnostic, Document


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The project root, with something outside that nobody must read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.yaml").write_text("TOPSECRET: 1\n")
    project = tmp_path / "project"
    project.mkdir()
    return project


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A project root that every user may enter, worked in as an ordinary user, also as root."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        if is_root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if is_root:
                os.seteuid(0)


def write(root: Path, *names: str, text: str = "a: 1\n") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def paths(root: Path, *inputs: str, cwd: Path | None = None) -> list[str]:
    """The display paths of the files that inputs come to; nothing may be wrong with them."""
    found = read.find(inputs, root=str(root), cwd=str(cwd or root))
    assert found.diagnostics == ()
    return [file.path for file in found.files]


def mistakes(root: Path, *inputs: str, stdin: bytes | None = None) -> list[str]:
    """Path and code of everything that is wrong with inputs."""
    found = read.find(inputs, root=str(root), cwd=str(root))
    stream = None if stdin is None else io.BytesIO(stdin)
    results = list(read.documents(found, stream))
    diagnostics = [result for result in results if isinstance(result, Diagnostic)]
    assert "TOPSECRET" not in repr(results)
    return [f"{diagnostic.location.path} {diagnostic.code}" for diagnostic in diagnostics]


def data(root: Path, *inputs: str, stdin: bytes | None = None) -> list[object]:
    found = read.find(inputs, root=str(root), cwd=str(root))
    stream = None if stdin is None else io.BytesIO(stdin)
    results = list(read.documents(found, stream))
    return [result.data for result in results if isinstance(result, Document)]


# What is found.


def test_folder_stands_for_its_yaml_files_at_any_depth(root: Path) -> None:
    write(root, "m/b.yaml", "m/a.yml", "m/x/y/c.yaml", "m/readme.md", "m/plan.json", "other.yaml")
    assert paths(root, "m") == ["m/a.yml", "m/b.yaml", "m/x/y/c.yaml"]


def test_project_root_itself_may_be_given(root: Path) -> None:
    write(root, "a.yaml", "m/b.yaml")
    assert paths(root, ".") == ["a.yaml", "m/b.yaml"]


@pytest.mark.parametrize(
    "name",
    [".hidden.yaml", ".git/a.yaml", ".reconciler/a.yaml", "a.yaml~", "#a.yaml#", ".#a.yaml",
     ".a.yaml.swp", "a.yaml.orig", "a.yaml.rej", "a.yaml.bak", "node_modules/p/a.yaml",
     "__pycache__/a.yaml", "reconciler.toml"],
)  # fmt: skip
def test_what_tools_leave_behind_is_ignored(root: Path, name: str) -> None:
    write(root, "m/a.yaml", f"m/{name}")
    assert paths(root, "m") == ["m/a.yaml"]


def test_file_given_by_name_is_read_whatever_its_name(root: Path) -> None:
    write(root, ".hidden", "plan.json", "a.bak")
    assert paths(root, ".hidden", "plan.json", "a.bak") == [".hidden", "a.bak", "plan.json"]


def test_same_file_is_read_once(root: Path) -> None:
    write(root, "m/a.yaml")
    (root / "link.yaml").symlink_to("m/a.yaml")
    assert paths(root, "m", "m/a.yaml", "./m/../m", str(root / "m"), "m/*.yaml", "link.yaml") == [
        "m/a.yaml"
    ]


def test_inputs_start_from_the_working_directory(root: Path) -> None:
    write(root, "m/x/a.yaml")
    assert paths(root, "x", cwd=root / "m") == ["m/x/a.yaml"]


def test_file_outside_the_project_is_shown_with_its_whole_path(root: Path) -> None:
    outside = root.parent / "elsewhere"
    write(outside, "a.yaml")
    assert paths(root, str(outside)) == [f"{outside}/a.yaml"]
    assert paths(root, str(outside / "a.yaml")) == [f"{outside}/a.yaml"]


def test_roots_are_what_was_given(root: Path) -> None:
    write(root, "m/a.yaml", "m/b.yaml", "n/c.yaml", "o/x1/d.yaml", "o/x2/e.yaml", "o/y.yaml")
    found = read.find(["m/", "n/c.yaml", "o/x*", "-"], root=str(root), cwd=str(root))
    assert found.roots == ("m", "n/c.yaml", "o/x1", "o/x2")
    assert found.has_standard_input


def test_roots_of_the_whole_project_are_a_dot(root: Path) -> None:
    assert read.find(["."], root=str(root), cwd=str(root)).roots == (".",)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.yaml", ["a.yaml", "b.yaml"]),
        ("?.yaml", ["a.yaml", "b.yaml"]),
        ("[a].yaml", ["a.yaml"]),
        ("x/*.yaml", ["x/c.yaml"]),
        ("*/*.yaml", ["x/c.yaml"]),
        ("x*", ["x/c.yaml", "x/y/d.yml"]),
        ("**/d.yml", ["x/y/d.yml"]),
        ("**/*.yaml", ["a.yaml", "b.yaml", "x/c.yaml"]),
        ("x/**", ["x/c.yaml", "x/y/d.yml"]),
        ("x/**/y", ["x/y/d.yml"]),
    ],
)
def test_glob_stands_for_the_manifests_and_folders_that_it_matches(
    root: Path, pattern: str, expected: list[str]
) -> None:
    write(root, "a.yaml", "b.yaml", "x/c.yaml", "x/y/d.yml", "x/notes.txt", ".h/e.yaml")
    assert paths(root, pattern) == expected


def test_glob_enters_no_link_that_leads_to_no_match(root: Path) -> None:
    write(root, "a.yaml", "x/b.yaml")
    (root / "link").symlink_to("x")
    assert paths(root, "*.yaml") == ["a.yaml"]


def test_name_with_brackets_is_no_glob_where_it_exists(root: Path) -> None:
    write(root, "a[1].yaml", "a1.yaml")
    assert paths(root, "a[1].yaml") == ["a[1].yaml"]


def test_documents_come_file_by_file_in_the_order_of_their_paths(root: Path) -> None:
    write(root, "b.yaml", text="b: 1\n---\nb: 2\n")
    write(root, "x/a.yaml", text="x: 1\n")
    write(root, "a.yaml", text="a: 1\n")
    assert data(root, ".") == [{"a": 1}, {"b": 1}, {"b": 2}, {"x": 1}]


# Links.


def test_link_inside_the_folder_is_followed(root: Path) -> None:
    write(root, "m/..data/a.yaml", text="mounted: 1\n")
    (root / "m" / "a.yaml").symlink_to("..data/a.yaml")
    assert paths(root, "m") == ["m/a.yaml"]
    assert data(root, "m") == [{"mounted": 1}]


def test_link_to_a_folder_inside_is_followed(root: Path) -> None:
    write(root, "m/.versions/2/a.yaml", text="version: 2\n")
    (root / "m" / "current").symlink_to(".versions/2")
    assert paths(root, "m") == ["m/current/a.yaml"]
    assert data(root, "m") == [{"version": 2}]


def test_own_name_goes_before_that_of_a_link(root: Path) -> None:
    write(root, "m/z/z.yaml")
    (root / "m" / "a.yaml").symlink_to("z/z.yaml")
    (root / "m" / "b").symlink_to("z")
    assert paths(root, "m") == ["m/z/z.yaml"]


def test_links_in_a_circle_end(root: Path) -> None:
    write(root, "m/x/a.yaml")
    (root / "m" / "x" / "up").symlink_to("..")
    assert paths(root, "m") == ["m/x/a.yaml"]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        pytest.param("evil.yaml", "../../outside/secret.yaml", id="B077 relative"),
        pytest.param("evil.yaml", "/etc/passwd", id="B077 absolute"),
        pytest.param("evil.yaml", "/nowhere/at/all", id="to nothing"),
        pytest.param("evil", "../../outside", id="folder"),
        pytest.param("evil.yaml", "../other.yaml", id="elsewhere in the project"),
    ],
)
def test_link_out_of_the_folder_is_refused(root: Path, link: str, target: str) -> None:
    write(root, "m/a.yaml", "other.yaml")
    (root / "m" / link).symlink_to(target)
    assert mistakes(root, "m") == [f"m/{link} E020"]


def test_link_out_of_the_folder_that_is_no_manifest_is_nobodys_business(root: Path) -> None:
    write(root, "m/a.yaml")
    (root / "m" / "README.md").symlink_to("/etc/passwd")
    assert paths(root, "m") == ["m/a.yaml"]


def test_link_given_by_name_may_lead_anywhere_in_the_project(root: Path) -> None:
    write(root, "shared/a.yaml", text="shared: 1\n")
    (root / "a.yaml").symlink_to("shared/a.yaml")
    (root / "m").symlink_to("shared")
    assert data(root, "a.yaml") == data(root, "m/a.yaml") == data(root, "m") == [{"shared": 1}]


@pytest.mark.parametrize("given", ["evil", "evil/secret.yaml", "evil/*.yaml", "evil.yaml"])
def test_link_given_by_name_may_not_lead_out_of_the_project(root: Path, given: str) -> None:
    (root / "evil").symlink_to("../outside")
    (root / "evil.yaml").symlink_to("../outside/secret.yaml")
    assert mistakes(root, given) == [f"{given.removesuffix('/*.yaml')} E020"]


def test_link_to_nothing_is_an_error(root: Path) -> None:
    write(root, "m/a.yaml")
    (root / "m" / "b.yaml").symlink_to("gone.yaml")
    (root / "loop.yaml").symlink_to("loop.yaml")
    assert mistakes(root, "m", "loop.yaml") == ["loop.yaml E001", "m/b.yaml E001"]


def test_file_swapped_for_a_link_after_it_was_found_is_not_followed(root: Path) -> None:
    write(root, "m/a.yaml")
    [file] = read.find(["m"], root=str(root), cwd=str(root)).files
    (root / "m" / "a.yaml").unlink()
    (root / "m" / "a.yaml").symlink_to("../../outside/secret.yaml")
    result = read.read(file)
    assert isinstance(result, Diagnostic)
    assert (result.code, str(result.location)) == ("E020", "m/a.yaml:1:1")


def test_folder_swapped_for_a_link_after_it_was_found_is_not_followed(root: Path) -> None:
    write(root, "m/x/secret.yaml")
    [file] = read.find(["m"], root=str(root), cwd=str(root)).files
    (root / "m" / "x").rename(root / "m" / "old")
    (root / "m" / "x").symlink_to("../../outside")
    result = read.read(file)
    assert isinstance(result, Diagnostic)
    assert result.code == "E020"


def test_link_turned_outside_after_it_was_found_is_not_followed(root: Path) -> None:
    write(root, "m/.a/secret.yaml")
    (root / "m" / "x").symlink_to(".a")
    [file] = read.find(["m"], root=str(root), cwd=str(root)).files
    (root / "m" / "x").unlink()
    (root / "m" / "x").symlink_to("../../outside")
    result = read.read(file)
    assert isinstance(result, Diagnostic)
    assert result.code == "E020"


def test_opening_never_goes_through_a_link(root: Path) -> None:
    write(root, "m/a.yaml")
    (root / "link").symlink_to("m")
    (root / "m" / "link.yaml").symlink_to("a.yaml")
    with pytest.raises(NotADirectoryError):
        beneath.open_folder(str(root), "link")
    with beneath.open_folders() as folders:
        folder = folders.descriptor(str(root), "m")
        with pytest.raises(OSError) as caught:
            beneath.read_file("link.yaml", folder=folder, limit_bytes=10)
    assert caught.value.errno in (errno.ELOOP, errno.EMLINK)


def test_link_turned_within_the_folder_is_resolved_again(root: Path) -> None:
    write(root, "m/.old/a.yaml", text="version: 1\n")
    write(root, "m/.new/a.yaml", text="version: 2\n")
    (root / "m" / "now").symlink_to(".old")
    [file] = read.find(["m"], root=str(root), cwd=str(root)).files
    (root / "m" / "now").unlink()
    (root / "m" / "now").symlink_to(".new")
    assert read.read(file) == b"version: 2\n"


# What cannot be read.


def test_path_that_does_not_exist_is_an_error(root: Path) -> None:
    assert mistakes(root, "gone", "gone.yaml", "*.yaml", "gone/*.yaml", "m") == [
        "*.yaml E024",
        "gone E024",
        "gone.yaml E024",
        "gone/*.yaml E024",
        "m E024",
    ]


def test_folder_without_manifests_is_an_error(root: Path) -> None:
    (root / "m").mkdir()
    assert mistakes(root, "m") == ["m E023"]


def test_nothing_given_is_nothing_found(root: Path) -> None:
    assert mistakes(root) == [". E023"]


def test_one_bad_file_hides_no_other(root: Path) -> None:
    write(root, "m/a.yaml", text="a: [")
    write(root, "m/b.yaml", text="")
    write(root, "m/c.yaml", text="c: 1")
    assert mistakes(root, "m") == ["m/a.yaml E005", "m/b.yaml E007"]
    assert data(root, "m") == [{"c": 1}]


def test_file_may_have_one_mebibyte(root: Path) -> None:
    write(root, "a.yaml", text="a: 1\n#" + "x" * (1024 * 1024 - 6))
    write(root, "b.yaml", text="a: 1\n#" + "x" * (1024 * 1024 - 5))
    assert mistakes(root, "a.yaml", "b.yaml") == ["b.yaml E002"]
    assert data(root, "a.yaml") == [{"a": 1}]


def test_huge_file_is_not_read_whole(root: Path) -> None:
    with (root / "a.yaml").open("wb") as file:
        file.truncate(1024**4)
    found = read.find(["a.yaml"], root=str(root), cwd=str(root))
    assert read.read(found.files[0]) == b"\0" * (1024 * 1024 + 1)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_device_is_not_read(root: Path, device: str) -> None:
    assert mistakes(root, device) == [f"{device} E025"]


def test_pipe_and_socket_are_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "m").mkdir()
    os.mkfifo(root / "m" / "pipe.yaml")
    monkeypatch.chdir(root / "m")  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.yaml")
        assert mistakes(root, "m") == ["m/pipe.yaml E025", "m/socket.yaml E025"]


def test_unreadable_file_and_folder_are_errors(open_root: Path) -> None:
    write(open_root, "m/a.yaml", "m/b.yaml", "m/x/c.yaml")
    (open_root / "m" / "b.yaml").chmod(0)
    (open_root / "m" / "x").chmod(0)
    try:
        assert mistakes(open_root, "m") == ["m/x E001", "m/b.yaml E001"]
        assert data(open_root, "m") == [{"a": 1}]
    finally:
        (open_root / "m" / "x").chmod(stat.S_IRWXU)


def test_unreadable_folder_given_by_name_is_an_error(open_root: Path) -> None:
    (open_root / "m").mkdir(mode=0)
    assert mistakes(open_root, "m") == ["m E001"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "this cannot be read: permission is denied"),
        (errno.EIO, "this cannot be read: EIO"),
        (99_999, "this cannot be read: unknown error"),
    ],
)
def test_reason_of_the_system_is_named_without_its_text(number: int, message: str) -> None:
    assert findings.unreadable(OSError(number, "TOPSECRET")).message == message


def test_file_that_vanished_since_it_was_found_is_an_error(root: Path) -> None:
    write(root, "m/a.yaml", "m/b.yaml")
    found = read.find(["m"], root=str(root), cwd=str(root))
    (root / "m" / "a.yaml").unlink()
    gone, read_one = read.documents(found, None)
    assert isinstance(gone, Diagnostic)
    assert gone.code == "E026"
    assert isinstance(read_one, Document)
    assert read_one.data == {"a": 1}


def test_folder_that_vanished_since_it_was_found_is_an_error(root: Path) -> None:
    write(root, "m/a.yaml")
    [file] = read.find(["m"], root=str(root), cwd=str(root)).files
    (root / "m").rename(root / "moved")
    result = read.read(file)
    assert isinstance(result, Diagnostic)
    assert result.code == "E026"


def test_file_that_is_not_as_long_as_the_system_says_is_an_error(root: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc, whose files have a length of 0")
    assert mistakes(root, "/proc/self/status") == ["/proc/self/status E026"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param(b"a\nb.yaml", r"a\nb.yaml", id="B085 newline"),
        pytest.param(b"a\x1b[31m.yaml", r"a\x1b[31m.yaml", id="B085 escape"),
        pytest.param(b"a\tb.yaml", r"a\tb.yaml", id="tab"),
        pytest.param("a\u202elmay.yaml".encode(), r"a\u202elmay.yaml", id="override"),
        pytest.param(b"a\xff.yaml", r"a\udcff.yaml", id="B086 not UTF-8"),
    ],
)
def test_name_that_no_terminal_should_see_is_refused_and_escaped(
    root: Path, name: bytes, shown: str
) -> None:
    (root / "m").mkdir()
    with open(os.fsencode(root / "m") + b"/" + name, "wb") as file:
        file.write(b"TOPSECRET: 1\n")
    given = os.fsdecode(b"m/" + name)
    assert mistakes(root, "m") == mistakes(root, given) == [f"m/{shown} E021"]


def test_folder_or_link_with_such_a_name_is_refused(root: Path) -> None:
    write(root, "m/a\x07/a.yaml", "m/a.yaml")
    (root / "m" / "b\x07.yaml").symlink_to("a.yaml")
    assert mistakes(root, "m") == [r"m/a\x07 E021", r"m/b\x07.yaml E021"]


def test_other_files_with_such_a_name_are_nobodys_business(root: Path) -> None:
    write(root, "m/a.yaml", "m/b\n.txt")
    assert paths(root, "m") == ["m/a.yaml"]


def test_too_many_files_are_refused_and_none_is_read(root: Path) -> None:
    (root / "m").mkdir()
    for number in range(10_001):
        os.close(os.open(root / "m" / f"{number}.yaml", os.O_CREAT | os.O_WRONLY))
    assert mistakes(root, "m") == ["m E022"]
    (root / "m" / "0.yaml").unlink()
    assert len(paths(root, "m")) == 10_000


# Standard input.


def test_standard_input_is_one_file_called_dash(root: Path) -> None:
    assert data(root, "-", stdin=b"a: 1\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    assert mistakes(root, "-", stdin=b"a: [") == ["- E005"]


def test_standard_input_stands_beside_files(root: Path) -> None:
    write(root, "a.yaml")
    assert data(root, "a.yaml", "-", stdin=b"b: 2") == [{"b": 2}, {"a": 1}]


def test_standard_input_is_not_read_unless_asked_for(root: Path) -> None:
    write(root, "a.yaml")
    assert data(root, "a.yaml", stdin=b"b: 2") == [{"a": 1}]


def test_endless_standard_input_is_cut_off(root: Path) -> None:
    with open("/dev/zero", "rb") as stdin:
        found = read.find(["-"], root=str(root), cwd=str(root))
        [result] = read.documents(found, stdin)
    assert isinstance(result, Diagnostic)
    assert result.code == "E002"


def test_standard_input_that_is_closed_is_an_error(root: Path) -> None:
    assert mistakes(root, "-") == ["- E001"]


def test_standard_input_that_cannot_be_read_is_an_error(root: Path) -> None:
    found = read.find(["-"], root=str(root), cwd=str(root))
    # Open for writing only: reading from it fails in the system, as from a lost disk.
    with open(os.open(root / "out", os.O_CREAT | os.O_WRONLY), "rb") as stdin:
        [result] = read.documents(found, stdin)
    assert isinstance(result, Diagnostic)
    assert result.code == "E001"
