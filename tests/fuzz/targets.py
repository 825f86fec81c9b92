"""What is fuzzed: one plain function for each parser of what strangers write.

A target takes one input and returns when it came to a documented outcome; anything else (another
exception, an undocumented code, a secret from outside) is raised. Inputs are pieces of real ones
put together wrongly: random bytes alone get no further than the first check. The functions know
no fuzzer; `tests/reliability` runs them for a moment, `python -m tests.fuzz` for as long as wanted.
"""

from __future__ import annotations

import json
import os
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
    StoreDamaged,
    StoreError,
)
from reconciler.model import Json, PlanOptions
from reconciler.redact import Redactor
from reconciler.report import describe, status
from reconciler.report.style import Style
from reconciler.report.views import DescribeView, StatusView
from reconciler.settings import SecretPolicy
from reconciler.stores import Opening, rows, tables
from tests import checking, factories
from tests.desired import want

_CASES = Path(__file__).parents[1] / "cases"
_SAMPLES = Path(__file__).parents[2] / "manifests"
#: What parsers stumble over.
_TOKENS = (
    *(
        b"\0",
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b"\x1b[31m",
        b"\x85",
        b"\xff",
        b"\xc3\x28",
        b"\xef\xbb\xbf",
    ),
    *(b"\xed\xa0\x80", "\u202e".encode(), "\u2028".encode(), "\U0010ffff".encode()),
    *(
        b"---\n",
        b"...\n",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!python/object:x ",
        b"%YAML 1.1\n",
        b"? ",
        b"|\n",
    ),
    *(b"[" * 70, b"{" * 70, b"- " * 70, b": ", b"'", b'"', b"\\", b"#", b"0o17", b"1e999", b".nan"),
    *(
        b"9" * 400,
        b"-0",
        b"null",
        b"true",
        b"env: PATH",
        b"file: ../x",
        b"../" * 9,
        b"%2e%2e%2f",
        b"@",
    ),
    *(b"http://", b"[::1]", b"[", b"]", b":99999", b"?", b"#", b"//", b"\xe3\x80\x82", b"xn--"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser under test."""

    name: str
    inputs: st.SearchStrategy[Any]
    run: Callable[[Any], None]
    #: inputs that once went wrong; tried first, always
    found: Sequence[Any] = ()


@st.composite
def _spliced(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Draws one of `seeds` with pieces replaced by tokens, random bytes and pieces of others."""
    data = draw(st.sampled_from(seeds))
    piece = st.sampled_from(_TOKENS) | st.binary(max_size=8) | st.sampled_from(seeds)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 20))
        data = (
            data[:start]
            + draw(piece) * draw(st.sampled_from([1, 1, 1, 50]))
            + data[start + length :]
        )
    return data


def _texts(seeds: Sequence[str]) -> st.SearchStrategy[str]:
    encoded = [seed.encode() for seed in seeds]
    return st.text() | _spliced(encoded).map(lambda data: data.decode(errors="surrogateescape"))


# --- manifests ------------------------------------------------------------------------------------


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


# --- saved plans ----------------------------------------------------------------------------------


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
def _plan() -> plan.Plan:
    return plan.make_plan([want("a"), want("b")], [], _OPTIONS, lineage="l1")


# --- rows of the state ----------------------------------------------------------------------------

_TABLES: Mapping[str, tuple[Callable[[rows.Row], Any], Callable[[Any], rows.Columns], Any]] = {
    "connections": (rows.recorded, rows.recorded_columns, factories.make_recorded()),
    "revisions": (rows.revision, rows.revision_columns, factories.make_revision()),
    "events": (rows.event, rows.event_columns, factories.make_event()),
    "observations": (rows.observation, rows.observation_columns, factories.make_observation()),
    "runs": (rows.run, rows.run_columns, factories.make_run()),
}
_SPOILED = (
    st.none()
    | st.booleans().map(int)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | _texts(["ACTIVE", "Ok", "2026-03-01T12:00:00.000000Z", "{}", "[]", '[["query",0.1,""]]'])
    | st.binary(max_size=8)
)


def state_row(given: tuple[str, Mapping[str, Any]]) -> None:
    """Every row is damage, or a value that screens show and that is written back as it was."""
    table, spoiled = given
    parse, columns_of, value = _TABLES[table]
    whole = {"id": 1, "number": 1} | columns_of(value) | spoiled
    names = [column.name for column in tables.METADATA.tables[table].columns]
    try:
        read = rows.parsed(table, parse, [whole[name] for name in names])
    except StoreDamaged as error:
        str(error).encode()
        return
    again = {"id": 1, "number": 1} | columns_of(read)
    assert rows.parsed(table, parse, [again[name] for name in names]) == read
    if table == "connections":
        status.wide(StatusView(rows=(read,), total=1, now=factories.NOW), Style())
        describe.text(DescribeView(recorded=read, now=factories.NOW), Style())


@st.composite
def _rows(draw: st.DrawFn) -> tuple[str, Mapping[str, Any]]:
    table = draw(st.sampled_from(sorted(_TABLES)))
    _, columns_of, value = _TABLES[table]
    names = draw(st.lists(st.sampled_from(sorted(columns_of(value))), unique=True, max_size=2))
    return table, {name: draw(_SPOILED) for name in names}


# --- secrets --------------------------------------------------------------------------------------

_INSIDE, _OUTSIDE, _VARIABLE = "inside-the-root", "outside-the-root", "from-the-environment"


@cache
def _root() -> str:
    """Returns a project root that lasts as long as the process, with a file beside it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (folder / "root" / "secrets").mkdir(parents=True)
    (folder / "root" / "secrets" / "one").write_text(_INSIDE)
    (folder / "outside").write_text(_OUTSIDE)
    (folder / "root" / "link").symlink_to("../outside")
    (folder / "root" / "up").symlink_to("..")
    return str(folder / "root")


def secret(reference: Mapping[str, str]) -> None:
    """Every reference is refused, or gives what lies inside the root or in a plain variable."""
    policy = SecretPolicy(root=_root())
    environment = {"TOKEN": _VARIABLE, "RECONCILER_KEY": _OUTSIDE, "PATH": _OUTSIDE}
    secrets = secret_sources.Secrets(policy, environment, Redactor())
    for public in (False, True):
        policy.denial(reference, public=public)
    try:
        value = secrets.resolve(reference).reveal()
    except SecretError as error:
        assert _OUTSIDE not in str(error)
    else:
        assert value in (_INSIDE, _VARIABLE)


_REFERENCES = st.builds(
    lambda source, argument: {source: argument},
    st.sampled_from(["env", "file"]),
    _texts(
        ["TOKEN", "PATH", "secrets/one", "../outside", "link", "up/outside", "/dev/null", "a" * 300]
    ),
)


# --- addresses ------------------------------------------------------------------------------------


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

# --- names on the command line --------------------------------------------------------------------


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


# --- the project file -----------------------------------------------------------------------------


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
    Target(name="manifest", inputs=_spliced(_manifests()) | st.binary(), run=manifest),
    Target(
        name="plan file",
        inputs=_spliced([saved_plan.dump(_plan()).encode(), b"{}", b"[]"]) | st.binary(),
        run=plan_file,
    ),
    Target(name="state row", inputs=_rows(), run=state_row),
    Target(name="secret reference", inputs=_REFERENCES, run=secret),
    Target(name="url", inputs=_texts(_URLS), run=url),
    Target(
        name="reference", inputs=_texts(["orders", "hr/orders", "sql/hr/*", "a=b"]), run=reference
    ),
    Target(
        name="project file",
        inputs=_spliced(_SETTINGS) | st.binary(),
        run=project_file,
        found=(b"a." * 30_000 + b"a=1", b"".join(b"k%d=1\n" % number for number in range(8000))),
    ),
)
