"""What is fuzzed: one plain function for each parser of what strangers write.

A target takes one input and returns when it came to a documented outcome; anything else (another
exception, an undocumented code, a secret from outside) is raised. The functions know no fuzzer;
`tests/reliability` runs them for a moment, `python -m tests.fuzz` for as long as wanted.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from reconciler import codes, config, kinds, plan, saved_plan, secret_sources, selection, stores
from reconciler.errors import (
    ConfigError,
    InvalidPlanFile,
    SecretError,
    StalePlan,
    StoreError,
)
from reconciler.model import Plan, PlanOptions
from reconciler.redact import Redactor
from reconciler.settings import SecretPolicy
from reconciler.stores import Opening
from tests import checking, factories
from tests.desired import want
from tests.fuzz import inputs, state_rows

_CASES = Path(__file__).parents[1] / "cases"
_SAMPLES = Path(__file__).parents[2] / "manifests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser under test."""

    name: str
    inputs: st.SearchStrategy[Any]
    run: Callable[[Any], None]
    #: inputs that once went wrong; tried first, always
    found: Sequence[Any] = ()


def manifest(data: bytes) -> None:
    """Every file of bytes becomes resources and diagnostics with known codes, all of them shown."""
    validated = checking.check(data)
    for finding in validated.diagnostics:
        assert finding.code in codes.CODES
        checking.screen(finding).encode()
    for resource in validated.resources:
        kinds.kind(resource.ref.kind).endpoint(resource.spec)
        planned = plan.make_plan([resource], [], _OPTIONS, lineage="l")
        saved_plan.load(saved_plan.dump(planned).encode()).require(planned)


_OPTIONS = PlanOptions(stack="default", roots=("manifests",), inputs=("manifests",))


def _manifests() -> list[bytes]:
    files = [*_SAMPLES.glob("*.yaml"), *_CASES.glob("*/*/*.yaml")]
    return sorted({file.read_bytes() for file in files}, key=lambda data: (len(data), data))[:150]


def plan_file(data: bytes) -> None:
    """Every file is the plan that was made, a stale one, or none."""
    made = _plan()
    try:
        saved = saved_plan.load(data)
        saved.require(made)
    except (InvalidPlanFile, StalePlan) as error:
        str(error).encode()
        return
    assert json.loads(data) == json.loads(saved_plan.dump(made))


@cache
def _plan() -> Plan:
    return plan.make_plan([want("a"), want("b")], [], _OPTIONS, lineage="l1")


_INSIDE, _OUTSIDE, _VARIABLE = "inside-the-root", "outside-the-root", "from-the-environment"


@cache
def _root() -> str:
    """Returns a project root that lasts as long as the process, with a file beside it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "root" / "secrets").mkdir(parents=True)
    (folder / "root" / "secrets" / "one").write_text(_INSIDE)
    (folder / "outside").write_text(_OUTSIDE)
    (folder / "root" / "link").symlink_to("../outside")
    (folder / "root" / "up").symlink_to("..")
    return str(folder / "root")


def secret(reference: Mapping[str, str]) -> None:
    """Every reference is refused, or gives what lies inside the root or in a plain variable."""
    policy = SecretPolicy(root=_root(), credentials_directory=_root())
    environment = {"TOKEN": _VARIABLE, "RECONCILER_KEY": _OUTSIDE, "PATH": _OUTSIDE}
    secrets = secret_sources.Secrets(policy, environment, Redactor(), clock=config.now)
    for public in (False, True):
        policy.denial(reference, public=public)
    try:
        said = secrets.resolve(reference).reveal()
        assert said in (_INSIDE, _VARIABLE)
    except SecretError as error:
        said = str(error)
    assert _OUTSIDE not in said


_REFERENCES = st.builds(
    lambda source, argument: {source: argument},
    st.sampled_from(["env", "file", "systemdCredential"]),
    inputs.texts(
        ["TOKEN", "PATH", "secrets/one", "../outside", "link", "up/outside", "/dev/null", "a" * 300]
    ),
)


def url(text: str) -> None:
    """Every base URL is refused by a diagnostic or has an endpoint; every state URL is answered."""
    base = {"apiVersion": "reconciler/v1", "kind": "ApiConnection", "metadata": {"name": "a"}}
    written = json.dumps({**base, "spec": {"baseUrl": text}}, ensure_ascii=True)
    for finding in checking.check(written).diagnostics:
        assert finding.code in codes.CODES
    for resource in checking.check(written).resources:
        endpoint = kinds.kind("ApiConnection").endpoint(resource.spec)
        assert endpoint.scheme in ("http", "https")
        assert endpoint.host
    config.passwords(text)
    with suppress(ConfigError, StoreError):
        settings = config.load({"state.url": text}, {}, _root()).settings
        if settings.state_url.startswith("sqlite"):
            stores.open_store(settings.state_url, Opening.READ, now=factories.NOW).close()


_URLS = (
    *(
        "https://api.example.com/v2",
        "http://127.0.0.1:8080",
        "http://[::1]:80/x",
        "https://a.b:443/",
    ),
    *("sqlite:///state.db", "sqlite:///:memory:", "sqlite://", "sqlite:////tmp/x?mode=ro"),
    *("postgresql://u:p@host:5432/db?sslmode=require", "http://user:pass@host/", "http://0x7f.1/"),
)


def reference(text: str) -> None:
    """Every reference and every label selector selects something, nothing, or is refused."""
    ref = factories.make_ref()
    for names, labels in (([text], []), ([], [text])):
        try:
            selector = selection.parse(names, labels)
            selector.matches(ref, {"team": "hr"})
            selection.require(selector, [ref])
        except ConfigError as error:
            str(error).encode(errors="surrogateescape")


def project_file(data: bytes) -> None:
    """Every project file is settings, or an error that names the file."""
    path = os.path.join(_root(), "fuzzed.toml")
    Path(path).write_bytes(data)
    try:
        config.load({"config": path}, {}, _root())
    except ConfigError as error:
        str(error).encode()


_SETTINGS = (
    b'[state]\nurl = "sqlite:///x.db"\n[stack]\nname = "default"\n',
    b"[prune]\nlimit = 5\n[health]\nconcurrency = 10\nper_host = 2\nlogin_budget = 3\n",
    b'lock_timeout = "30s"\n[secrets]\nenv_allow = ["APP_*"]\nfile_allow = ["secrets"]\n',
    b'health.concurrency = 1_0\n[[secrets]]\na = 2026-01-01T00:00:00Z\n"" = {x = [1, {y = nan}]}\n',
)

TARGETS: tuple[Target, ...] = (
    Target(name="manifest", inputs=inputs.spliced(_manifests()) | st.binary(), run=manifest),
    Target(
        name="plan file",
        inputs=inputs.spliced([saved_plan.dump(_plan()).encode(), b"{}", b"[]"]) | st.binary(),
        run=plan_file,
    ),
    Target(
        name="state row",
        inputs=state_rows.spoiled(),
        run=state_rows.check,
        found=(
            ("connections", {"checked_at": ""}),
            ("connections", {"last_error": b"x"}),
            ("connections", {"hold": "[" * 100_000}),
            ("events", {"kind": "Future"}),
            ("observations", {"stages": '[["query", "soon", 1]]'}),
            ("runs", {"counts": "[]"}),
            ("runs", {"counts": '{"create": Infinity}'}),
        ),
    ),
    Target(
        name="secret reference",
        inputs=_REFERENCES,
        run=secret,
        found=({"file": "a\0b"}, {"file": "\ud800"}),
    ),
    Target(name="url", inputs=inputs.texts(_URLS), run=url, found=("sqlite://:",)),
    Target(
        name="reference",
        inputs=inputs.texts(["orders", "hr/orders", "sql/hr/*", "a=b"]),
        run=reference,
    ),
    Target(
        name="project file",
        inputs=inputs.spliced(_SETTINGS) | st.binary(),
        run=project_file,
        found=(b"a." * 30_000 + b"a=1", b"".join(b"k%d=1\n" % number for number in range(8000))),
    ),
)
