"""The commands that only read files: validate, schema, explain.

They are what a pull request from a stranger runs, so nothing here opens a socket, resolves a secret
or starts a process, and they import none of the libraries that could.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click

from reconciler import config, report
from reconciler.cli import completing, frame, stopwatch
from reconciler.cli.session import Session
from reconciler.errors import ConfigError, InvalidManifests
from reconciler.model import Severity
from reconciler.report import formats

#: The folder in which manifests are looked for when no path is given.
FOLDER = "manifests"


@frame.command(
    "validate",
    examples=(
        "reconciler validate",
        "reconciler validate manifests/orders.yaml -o concise",
        "git show HEAD:manifests/orders.yaml | reconciler validate -",
    ),
    has_logs=False,
)
@click.argument("paths", nargs=-1, type=click.Path())
@click.option(
    "-o",
    "--output",
    "output_format",
    type=click.Choice(list(formats.DIAGNOSTICS)),
    help="Default: text; github where GITHUB_ACTIONS is true.",
)
@click.option("--all", "show_all", is_flag=True, help="Show every finding, not the first 20.")
@stopwatch.option()
@click.pass_obj
def validate(
    session: Session, paths: Sequence[str], output_format: str | None, *, show_all: bool
) -> int:
    """Check manifests and report every mistake with its file, line and column.

    PATHS are files, folders, globs or - for standard input; without any, the folder `manifests` of
    the project, or the whole project. Exits with 3 when there are errors or no manifest was found.
    """
    from reconciler import desired
    from reconciler.report import diagnostics

    started_s = time.monotonic()
    settings, output = session.settings, session.output
    with stopwatch.stage("read and validate"):
        reading = desired.read_manifests(
            paths or default_paths(settings.root),
            settings=settings,
            cwd=session.cwd,
            stdin=session.stdin,
        )
    findings = diagnostics.Findings(
        diagnostics=reading.diagnostics,
        files=reading.files,
        documents=reading.documents,
        limit=None if show_all else diagnostics.SHOWN,
        link_root=settings.root if output.has_links else "",
    )
    is_github = session.environment.get("GITHUB_ACTIONS") == "true"
    chosen = output_format or ("github" if is_github else "text")
    with stopwatch.stage("report"):
        output.data(report.formatter(formats.DIAGNOSTICS, chosen)(findings, output.style))
    took_s = time.monotonic() - started_s
    output.say(diagnostics.summary(findings, output.talk_style, seconds=took_s))
    return InvalidManifests.exit if findings.count(Severity.ERROR) else 0


@frame.command(
    "schema",
    examples=("reconciler schema SqlConnection", "reconciler schema --draft 7 > manifest.json"),
    has_logs=False,
)
@click.argument("kind", required=False, shell_complete=completing.kinds)
@click.option(
    "--draft",
    type=click.Choice(["7", "2020-12"]),
    default="2020-12",
    show_default=True,
    help="Version of JSON Schema; most editors read 7.",
)
@click.pass_obj
def schema(session: Session, kind: str | None, draft: str) -> None:
    """Print the JSON Schema of KIND, or without KIND one for manifests of every kind."""
    from reconciler import kinds
    from reconciler.cli import bundle

    if kind is None:
        data = bundle.bundle({name: kinds.schema(name) for name in kinds.KINDS})
    else:
        data = kinds.schema(kind_name(kind))
    if draft == "7":
        from reconciler import schema as generator

        data = generator.draft7(data)
    session.output.data(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


@frame.command(
    "explain", examples=("reconciler explain E104", "reconciler explain"), has_logs=False
)
@click.argument("code", required=False, shell_complete=completing.codes)
@click.pass_obj
def explain(session: Session, code: str | None) -> None:
    """Explain a diagnostic's CODE, or without CODE list them all."""
    from reconciler.codes import CODES
    from reconciler.report import explanation

    style = session.output.style
    if code is None:
        session.output.data(explanation.index(CODES, style))
        return
    known = CODES.get(code.upper())
    if known is None:
        raise ConfigError(
            f"there is no code `{code}`",
            config.near_miss("code", code.upper(), list(CODES), otherwise="reconciler explain"),
        )
    session.output.data(explanation.page(code.upper(), known, style))


def default_paths(root: str) -> tuple[str, ...]:
    """Returns what is read when no path is given: the project's `manifests`, else all of it."""
    folder = Path(root, FOLDER)
    return (str(folder) if folder.is_dir() else root,)


def kind_name(text: str) -> str:
    """Returns the kind that `text` names, by name or alias, in any case.

    Raises:
        ConfigError: there is no such kind.
    """
    from reconciler import kinds

    name = kinds.named(text)
    if name is None:
        raise ConfigError(
            f"there is no kind `{text}`", config.near_miss("kind", text, list(kinds.KINDS))
        )
    return name
