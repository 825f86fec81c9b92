"""The commands that write manifests: init and new. Neither ever overwrites a file.

Apart from `templates`, which holds the texts: here they are filled in, judged by the validator
itself, and written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from reconciler import config, project_file
from reconciler.cli import bundle, checking, completing, frame, templates
from reconciler.cli.session import Session
from reconciler.errors import ConfigError
from reconciler.kinds import engines
from reconciler.model import Diagnostic, Severity

#: Where `init` puts the schema for editors; hidden, so that it is not read as a manifest.
SCHEMA_FILE = f"{checking.FOLDER}/.schema.json"
_DEFAULT_AUTH = {templates.API: "bearer", templates.SQL: "password"}
_DEFAULT_ENGINE = "postgresql"


@frame.command("init", examples=("reconciler init", "reconciler init connections"))
@click.argument("folder", default=".", type=click.Path())
@click.pass_obj
def init(session: Session, folder: str) -> None:
    """Start a project in FOLDER: settings, a sample manifest, and a schema for editors.

    Files that exist are kept as they are.
    """
    top = os.path.join(session.cwd, folder)
    for path, text in _project().items():
        is_written = _write_new(os.path.join(top, path), text)
        shown = os.path.normpath(os.path.join(folder, path))
        session.output.say(f"{'wrote' if is_written else 'kept '}  {shown}\n")
    go = "" if os.path.normpath(folder) == "." else f"cd {folder} && "
    session.output.say(
        f"\nnext: {go}reconciler validate\n"
        "      reconciler new SqlConnection orders --out manifests/orders.yaml\n"
    )


@frame.command(
    "new",
    examples=(
        "reconciler new SqlConnection orders --namespace hr --out manifests/orders.yaml",
        "reconciler new api crm --auth basic",
        "reconciler new api crm --grant authorizationCode",
    ),
)
@click.argument("kind", shell_complete=completing.kinds)
@click.argument("name")
@click.option("--namespace", default="default", show_default=True, help="Namespace.")
@click.option(
    "--engine",
    type=click.Choice(list(engines.ENGINES)),
    help=f"SQL engine; default: {_DEFAULT_ENGINE}.",
)
@click.option(
    "--auth",
    type=click.Choice(sorted({method for rows in templates.AUTH.values() for method in rows})),
    help="How it authenticates; default: bearer or password, else what the engine has.",
)
@click.option(
    "--grant",
    type=click.Choice(list(templates.GRANTS)),
    help="How OAuth 2 gets its tokens; implies --auth oauth2.",
)
@click.option("--out", type=click.Path(), help="Write this new file instead of printing.")
@click.pass_obj
def new(  # noqa: PLR0917 - click hands over what the user may say
    session: Session,
    kind: str,
    name: str,
    namespace: str,
    engine: str | None,
    auth: str | None,
    grant: str | None,
    out: str | None,
) -> None:
    """Print a commented, valid manifest of KIND called NAME, to be filled in."""
    if grant and auth not in (None, "oauth2"):
        raise ConfigError(f"`{auth}` has no grant", "--grant belongs to --auth oauth2")
    method = "oauth2" if grant else auth
    wanted = _wanted(checking.kind_name(kind), name, namespace, engine, method)
    wanted = replace(wanted, grant=grant or "")
    text = templates.manifest(wanted)
    _refuse_invalid(text)
    if out is None:
        session.output.data(text)
        return
    if not _write_new(os.path.join(session.cwd, out), _modeline(session, out) + text):
        raise ConfigError(f"{out} exists", "choose another name; no file is overwritten")
    session.output.say(f"wrote  {out}\n\nnext: reconciler validate {out}\n")


def _wanted(
    kind: str, name: str, namespace: str, engine: str | None, auth: str | None
) -> templates.Wanted:
    if kind != templates.SQL and engine:
        raise ConfigError(f"{kind} has no engine", f"--engine belongs to {templates.SQL}")
    chosen = (engine or _DEFAULT_ENGINE) if kind == templates.SQL else ""
    if chosen in engines.FILE_ENGINES:
        if auth not in (None, "none"):
            raise ConfigError(f"{chosen} is a file and has no login", "leave --auth out")
        method = ""
    else:
        row = engines.ENGINES.get(chosen)
        methods = list(row.methods if row else templates.AUTH[kind])
        usual = _DEFAULT_AUTH[kind]
        method = auth or (usual if usual in methods else methods[0])
        if method not in methods:
            raise ConfigError(
                f"{row.title if row else kind} has no method `{method}`",
                config.near_miss("method", method, methods),
            )
    return templates.Wanted(kind=kind, name=name, namespace=namespace, engine=chosen, auth=method)


def _refuse_invalid(text: str) -> None:
    """Lets the validator itself judge the names that were given.

    Raises:
        ConfigError: one is not valid; the hint proposes one that is.
    """
    from reconciler import validate
    from reconciler.manifests import loader
    from reconciler.settings import SecretPolicy

    validated = validate.validate(loader.load(text.encode(), "new"), SecretPolicy(root="/"))
    errors = [d for d in validated.diagnostics if d.severity is Severity.ERROR]
    if errors:
        first: Diagnostic = errors[0]
        raise ConfigError(first.message, first.hint)


def _project() -> Mapping[str, str]:
    """Returns the files of a new project: path -> text."""
    from reconciler import kinds, schema

    shipped = bundle.bundle({name: kinds.schema(name) for name in kinds.KINDS})
    editor = {"yaml.schemas": {f"./{SCHEMA_FILE}": f"{checking.FOLDER}/**/*.yaml"}}
    sample = templates.modeline(os.path.basename(SCHEMA_FILE)) + templates.SAMPLE
    return {
        project_file.FILE: templates.SETTINGS,
        f"{checking.FOLDER}/example.yaml": sample,
        SCHEMA_FILE: json.dumps(schema.draft7(shipped), indent=2) + "\n",
        ".vscode/settings.json": json.dumps(editor, indent=2) + "\n",
    }


def _modeline(session: Session, out: str) -> str:
    """Returns the editor's comment for the new file `out`, empty where no schema was written."""
    schema = os.path.join(session.settings.root, SCHEMA_FILE)
    folder = os.path.dirname(os.path.join(session.cwd, out))
    return templates.modeline(os.path.relpath(schema, folder)) if os.path.lexists(schema) else ""


def _write_new(path: str, text: str) -> bool:
    """Writes a file that does not exist yet, with its folders; returns False where it does.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    return True
