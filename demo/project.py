"""The folder in which the show happens: a project as a user has it, made anew for every run.

It holds copies of `manifests/`, a `reconciler.toml` that makes it the project root, and the sample
databases and secrets where the manifests expect them. So nothing is written outside `demo/.state`,
and a manifest whose port is taken can be given another without touching the file in git.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from secrets import token_urlsafe

from demo import databases, servers

HERE = Path(__file__).resolve().parent
MANIFESTS = HERE.parent / "manifests"
FOLDER = HERE / ".state"
#: The file of the key that encrypts secrets in the state.
KEY = "reconciler.key"

SETTINGS = """\
# The project of `make run`, made anew by each run.
[stack]
name = "demo"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the manifests refer to; random, for one run."""

    crm_token: str = field(repr=False, default_factory=token_urlsafe)
    billing_password: str = field(repr=False, default_factory=token_urlsafe)
    inventory_key: str = field(repr=False, default_factory=token_urlsafe)
    warehouse_password: str = field(repr=False, default_factory=token_urlsafe)

    def samples(self) -> tuple[servers.Sample, ...]:
        """Returns the APIs of `manifests/` that let these secrets in."""
        login = b64encode(f"reports:{self.billing_password}".encode()).decode()
        return (
            servers.Sample(
                name="crm",
                port=8461,
                path="/v2/ping",
                credential=bearer(self.crm_token),
            ),
            servers.Sample(
                name="billing",
                port=8462,
                path="/health",
                credential=servers.Credential(header="Authorization", value=f"Basic {login}"),
            ),
            servers.Sample(
                name="flaky",
                port=8463,
                path="/health",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                body={"error": "this sample fails on purpose"},
            ),
            servers.Sample(name="slow", port=8464, path="/report", delay_s=0.8),
            servers.Sample(
                name="inventory",
                port=8465,
                path="/api/status",
                credential=servers.Credential(header="X-Api-Key", value=self.inventory_key),
                body={"status": "ok", "warehouse": {"open": True}},
            ),
        )

    def environment(self) -> dict[str, str]:
        """Returns this process' environment with the secrets that are read from there.

        Without the settings of the product: the show must not touch the state store of a user. Its
        own key is named once there is one.
        """
        own = os.environ  # noqa: TID251 - a program of its own, which hands its environment down
        kept = {name: value for name, value in own.items() if not name.startswith("RECONCILER_")}
        key = {"RECONCILER_KEY_FILE": KEY} if (FOLDER / KEY).exists() else {}
        return {
            **kept,
            **key,
            "DEMO_CRM_TOKEN": self.crm_token,
            "DEMO_BILLING_PASSWORD": self.billing_password,
            "DEMO_WAREHOUSE_PASSWORD": self.warehouse_password,
        }


def bearer(token: str) -> servers.Credential:
    """Returns the credential of a bearer token (RFC 6750, section 2.1)."""
    return servers.Credential(header="Authorization", value=f"Bearer {token}")


@contextmanager
def alone() -> Iterator[None]:
    """Keeps other runs out of the folder while the block runs; OSError when one is in it."""
    descriptor = os.open(HERE, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError("another `make run` is at work here; wait for it to end") from None
        yield
    finally:
        os.close(descriptor)


def make(ports: Mapping[int, int], files: Mapping[str, str]) -> None:
    """Makes the folder anew: manifests, databases, and `files` that nobody else may read.

    `ports` maps the ports that the manifests name to those that their servers really have.
    """
    _remove()
    data = FOLDER / "demo" / "data"
    for folder in (FOLDER / "manifests", data, FOLDER / "demo" / "secrets"):
        folder.mkdir(parents=True)
    (FOLDER / ".gitignore").write_text("*\n")
    (FOLDER / "reconciler.toml").write_text(SETTINGS)
    for file in sorted(MANIFESTS.glob("*.yaml")):
        text = _with_ports(file.read_text(encoding="utf-8"), ports)
        (FOLDER / "manifests" / file.name).write_text(text, encoding="utf-8")
    databases.make_orders(data / "orders.sqlite")
    databases.make_analytics(data / "analytics.duckdb")
    for name, text in files.items():
        file = FOLDER / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")


def _remove() -> None:
    try:
        shutil.rmtree(FOLDER)
    except FileNotFoundError:
        return
    except PermissionError:
        raise OSError(f"{FOLDER} was made by another user; remove it as that user") from None


def _with_ports(manifest: str, ports: Mapping[int, int]) -> str:
    named = "|".join(map(str, ports))
    return re.sub(rf"\b({named})\b", lambda found: str(ports[int(found[1])]), manifest)
