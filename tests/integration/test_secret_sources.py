from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import config
from reconciler.errors import SecretError
from reconciler.redact import Redactor
from reconciler.secret_sources import Access, Secrets
from reconciler.secret_sources.env import EnvSource
from reconciler.secret_sources.file import FileSource
from reconciler.settings import SecretPolicy

CANARY = "TOPSECRET-canary"


def file_source(root: Path) -> FileSource:
    policy = SecretPolicy(root=str(root))
    return FileSource(Access(policy=policy, environment={}, redactor=Redactor(), clock=config.now))


def env_source(**environment: str) -> EnvSource:
    policy = SecretPolicy(root="/project")
    return EnvSource(
        Access(policy=policy, environment=environment, redactor=Redactor(), clock=config.now)
    )


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def refusal(read: Callable[[], str]) -> str:
    with pytest.raises(SecretError) as raised:
        read()
    assert CANARY not in str(raised.value) + raised.value.hint
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value.message


def test_a_variable_is_read_as_it_is() -> None:
    assert env_source(TOKEN="${env:OTHER} \n").read("TOKEN", public=False) == "${env:OTHER} \n"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        pytest.param({}, "the environment variable TOKEN is not set", id="missing"),
        pytest.param({"TOKEN": ""}, "the environment variable TOKEN is empty", id="empty"),
        pytest.param(
            {"TOKEN": CANARY * 5000},
            "the environment variable TOKEN is longer than 64 KiB",
            id="long",
        ),
        pytest.param(
            {"TOKEN": CANARY + "\udcff"}, "the environment variable TOKEN is not UTF-8", id="bytes"
        ),
    ],
)
def test_unusable_variables_are_refused(environment: dict[str, str], message: str) -> None:
    assert refusal(lambda: env_source(**environment).read("TOKEN", public=False)) == message


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b"secret\r\n", "secret"),
        (b" secret \n", " secret "),
        (b"one\ntwo\n", "one\ntwo"),
        ("schlüssel".encode(), "schlüssel"),
    ],
)
def test_a_file_loses_one_trailing_newline(tmp_path: Path, data: bytes, value: str) -> None:
    write(tmp_path / "token", data)
    assert file_source(tmp_path).read("token", public=False) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "the file token is empty", id="empty"),
        pytest.param(b"\n", "the file token is empty", id="newline"),
        pytest.param(CANARY.encode() + b"\0", "the file token has a NUL character", id="nul"),
        pytest.param(CANARY.encode() + b"\xff", "the file token is not UTF-8", id="bytes"),
        pytest.param(CANARY.encode() * 140_000, "the file token is longer than 64 KiB", id="2 MiB"),
    ],
)
def test_unusable_contents_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    write(tmp_path / "token", data)
    assert refusal(lambda: file_source(tmp_path).read("token", public=False)) == message


def test_a_missing_file_is_named_with_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(SecretError) as raised:
        file_source(tmp_path).read("secrets/token", public=False)
    assert (raised.value.message, raised.value.hint) == (
        "the file secrets/token does not exist",
        f"put it at {tmp_path}/secrets/token",
    )


OUTSIDE = "is outside the project root and the folders for secrets"


def test_a_link_out_of_the_allowed_folders_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "outside", CANARY.encode())
    root = tmp_path / "root"
    root.mkdir()
    (root / "token").symlink_to(tmp_path / "outside")
    assert (
        refusal(lambda: file_source(root).read("token", public=False))
        == f"the file token {OUTSIDE}"
    )


def test_a_linked_folder_out_of_the_allowed_folders_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "outside" / "token", CANARY.encode())
    root = tmp_path / "root"
    root.mkdir()
    (root / "secrets").symlink_to(tmp_path / "outside")
    assert (
        refusal(lambda: file_source(root).read("secrets/token", public=False))
        == f"the file secrets/token {OUTSIDE}"
    )


def test_a_path_that_climbs_out_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "key", CANARY.encode())
    root = tmp_path / "root"
    root.mkdir()
    assert (
        refusal(lambda: file_source(root).read("../key", public=False))
        == f"the file ../key {OUTSIDE}"
    )


def test_links_inside_the_allowed_folders_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "..2026_03_01" / "token", b"secret")
    (tmp_path / "..data").symlink_to("..2026_03_01")
    (tmp_path / "token").symlink_to("..data/token")
    assert file_source(tmp_path).read("token", public=False) == "secret"


def test_a_root_that_is_a_link_itself_is_fine(tmp_path: Path) -> None:
    write(tmp_path / "real" / "token", b"secret")
    (tmp_path / "root").symlink_to("real")
    assert file_source(tmp_path / "root").read("token", public=False) == "secret"


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to("token")
    assert refusal(lambda: file_source(tmp_path).read("token", public=False)) == (
        "the file token is a link that changed while it was read, or leads to itself"
    )


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    assert (
        refusal(lambda: file_source(tmp_path).read("token", public=False))
        == "the file token is not a regular file"
    )


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    assert (
        refusal(lambda: file_source(tmp_path).read("token", public=False))
        == "the file token is not a regular file"
    )


def test_a_socket_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has a short limit
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("token")
        assert (
            refusal(lambda: file_source(tmp_path).read("token", public=False))
            == "the file token is not a regular file"
        )


def test_a_device_is_outside_whatever_its_path_says(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to("/dev/zero")
    assert (
        refusal(lambda: file_source(tmp_path).read("token", public=False))
        == f"the file token {OUTSIDE}"
    )


def test_a_secret_that_everybody_can_read_gives_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "token", b"secret", mode=0o644)
    source = file_source(tmp_path)
    source.read("token", public=False)
    assert source.warnings == (
        "the file token is readable by everybody on this machine: chmod 600",
    )


def test_a_private_secret_gives_no_warning(tmp_path: Path) -> None:
    write(tmp_path / "token", b"secret")
    source = file_source(tmp_path)
    source.read("token", public=False)
    assert source.warnings == ()


def test_public_material_is_whole_and_may_be_readable(tmp_path: Path) -> None:
    write(tmp_path / "ca.pem", b"x" * 100_000 + b"\n", mode=0o644)
    source = file_source(tmp_path)
    assert source.read("ca.pem", public=True) == "x" * 100_000 + "\n"
    assert source.warnings == ()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "token", b"secret")
    source = file_source(tmp_path)
    before = len(list(Path("/dev/fd").iterdir()))
    source.read("a/b/token", public=False)
    refusal(lambda: source.read("a/b", public=False))
    refusal(lambda: source.read("a/c", public=False))
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_resolved_secret_is_known_to_the_redactor_in_every_form(tmp_path: Path) -> None:
    write(tmp_path / "token", CANARY.encode() + b"\n", mode=0o644)
    redactor = Redactor()
    secrets = Secrets(SecretPolicy(root=str(tmp_path)), {}, redactor, clock=config.now)
    secrets.resolve({"file": "token"})
    assert redactor.redact(f"x {CANARY} y") == "x *** y"
    assert secrets.warnings == (
        "the file token is readable by everybody on this machine: chmod 600",
    )


def test_a_file_is_read_once_per_run(tmp_path: Path) -> None:
    write(tmp_path / "token", b"secret-one")
    secrets = Secrets(SecretPolicy(root=str(tmp_path)), {}, Redactor(), clock=config.now)
    first = secrets.resolve({"file": "token"})
    write(tmp_path / "token", b"secret-two")
    assert secrets.resolve({"file": "token"}) is first
