"""`secret set|list|rm|rotate-key|keygen`: secrets that are kept in the state, encrypted.

A value comes from standard input or a hidden prompt. It never stands on a command line, which every
user of the machine can read, and is never printed again.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime, timedelta

import click

from reconciler import master_keys, report, stored_secrets
from reconciler.cli import completing, workbench
from reconciler.cli.frame import Group, Row, command
from reconciler.cli.session import Session
from reconciler.errors import ConfigError
from reconciler.kinds import durations, names
from reconciler.redact import SHORTEST_REDACTED, Secret, escape
from reconciler.report import formats, times, views, words
from reconciler.sealing import NO_KEY_HINT, Sealer
from reconciler.secret_sources import LONGEST_SECRET_BYTES
from reconciler.stores import Opening, vault

_SECTION = "Commands"
_ROWS = {
    "set": Row(
        target="reconciler.cli.secrets:set_",
        summary="Store a secret, or its successor",
        section=_SECTION,
    ),
    "list": Row(
        target="reconciler.cli.secrets:list_",
        summary="List them, without values",
        section=_SECTION,
    ),
    "rm": Row(target="reconciler.cli.secrets:remove", summary="Delete one", section=_SECTION),
    "rotate-key": Row(
        target="reconciler.cli.secrets:rotate_key",
        summary="Encrypt everything with the first key",
        section=_SECTION,
    ),
    "keygen": Row(
        target="reconciler.cli.secrets:keygen", summary="Print a new key", section=_SECTION
    ),
}
_name = click.argument("name", shell_complete=completing.secrets)

secret = Group(
    name="secret",
    rows=_ROWS,
    help="Keep secrets in the state, encrypted; manifests name them as {store: NAME}.",
    no_args_is_help=True,
    subcommand_metavar="COMMAND [ARGS]...",
)


@command(
    "set",
    examples=(
        "reconciler secret set orders-password",
        "reconciler secret set orders-password --expires 90d < password.txt",
    ),
)
@_name
@click.option("--expires", metavar="WHEN", help="A day such as 2027-01-31 (UTC), or 90d.")
@click.pass_obj
def set_(session: Session, *, name: str, expires: str | None) -> int:
    """Store the secret NAME, encrypted; what was stored under that name is replaced.

    The value is read from standard input, without one newline at its end, or asked for on a
    terminal. It is never taken from the command line.
    """
    _require_name(name)
    order = _order(session)
    expires_at = None if expires is None else _expiry(expires, session.now())
    value = _read_value(session, name)
    session.redactor.add(value)
    with workbench.open_store(session, Opening.WRITE) as store:
        before = store.find_sealed(vault.SECRET, name)
        record = stored_secrets.put(store, name, Secret(value), order, expires_at=expires_at)
    if before is not None and before.expires_at is not None and expires_at is None:
        session.output.warn(
            f"`{name}` was to expire at {times.utc(before.expires_at)}, and now it never does",
            "store it again with `--expires` if it has an end",
        )
    if len(value) < SHORTEST_REDACTED:
        session.output.warn(
            f"a secret of fewer than {SHORTEST_REDACTED} characters is not taken out of what is"
            " shown: it would be found in every other word",
            "use a longer one",
        )
    until = f", expires at {times.utc(expires_at)}" if expires_at else ""
    session.output.data(f"stored `{name}`, version {record.version}{until}\n")
    return 0


@command("list", examples=("reconciler secret list", "reconciler secret list -o json"))
@workbench.output_option(tuple(formats.SECRETS))
@click.pass_obj
def list_(session: Session, *, format_: str) -> int:
    """List the stored secrets: version, key, when set, when they expire, who uses them."""
    now = session.now()
    sealer = Sealer(session.settings.keys)
    ending = timedelta(seconds=session.settings.expiry_warning_s)
    with workbench.open_store(session, Opening.READ) as store:
        records = store.sealed(vault.SECRET)
        users = stored_secrets.users_of(store.recorded())
    rows = tuple(
        views.SecretRow(
            name=record.name,
            version=record.version,
            key_id=record.key_id,
            has_key=record.key_id in sealer.key_ids,
            updated_at=record.updated_at,
            expires_at=record.expires_at,
            is_ending=record.expires_at is not None and record.expires_at <= now + ending,
            users=users.get(record.name, ()),
        )
        for record in records
    )
    view = views.SecretsView(rows=rows, now=now)
    session.output.data(report.formatter(formats.SECRETS, format_)(view, session.output.style))
    return 0


@command("rm", examples=("reconciler secret rm orders-password",))
@_name
@click.pass_obj
def remove(session: Session, *, name: str) -> int:
    """Delete the stored secret NAME; refused while a live connection references it."""
    order = stored_secrets.Order(
        actor=session.settings.actor, now=session.now(), sealer=Sealer(session.settings.keys)
    )
    with workbench.open_store(session, Opening.WRITE) as store:
        stored_secrets.remove(store, name, order)
    session.output.data(f"deleted `{name}`\n")
    return 0


@command("rotate-key", examples=("RECONCILER_KEY=NEW,OLD reconciler secret rotate-key",))
@click.pass_obj
def rotate_key(session: Session) -> int:
    """Encrypt everything that the state holds with the first of the keys.

    Give the new key first and the old one behind it. What ends half-way is completed by running it
    again; then the old key can go.
    """
    order = _order(session)
    with workbench.open_store(session, Opening.WRITE) as store:
        moved = stored_secrets.rotate(store, session.settings.keys, order)
        kept = sum(len(store.sealed(space)) for space in vault.SPACES)
    session.output.data(
        f"{words.plural(moved, 'record')} encrypted anew, of {kept};"
        f" all are sealed with the key {order.sealer.key_id}\n"
    )
    return 0


@command("keygen", examples=("(umask 077; reconciler secret keygen > reconciler.key)",))
@click.pass_obj
def keygen(session: Session) -> int:
    """Print a new random key for RECONCILER_KEY, or for the file of RECONCILER_KEY_FILE."""
    session.output.data(f"{master_keys.make()}\n")
    return 0


def _order(session: Session) -> stored_secrets.Order:
    """Returns who orders a change that encrypts.

    Raises:
        ConfigError: there is no key.
    """
    if not session.settings.keys:
        raise ConfigError("there is no key to encrypt secrets with", NO_KEY_HINT)
    return stored_secrets.Order(
        actor=session.settings.actor, now=session.now(), sealer=Sealer(session.settings.keys)
    )


def _require_name(name: str) -> None:
    if re.fullmatch(names.UNRESERVED_PATTERN, name) is None:
        near = names.propose_name(name)
        raise ConfigError(
            f"`{escape(name)}` cannot be the name of a secret",
            f"write `{near}`" if near else "use a-z, 0-9, - and _, a letter or digit first",
        )


def _read_value(session: Session, name: str) -> str:
    """Returns the value from the terminal or standard input, judged like that of a file."""
    if session.output.can_ask:
        value = _ask(session, name)
    else:
        data = session.stdin.read(LONGEST_SECRET_BYTES + 3) if session.stdin else b""
        try:
            value = data.decode()
        except UnicodeDecodeError:  # its `object` is the value
            raise ConfigError("the secret is not UTF-8", "only text can be a secret") from None
        value = value.removesuffix("\r\n" if value.endswith("\r\n") else "\n")
    if not value:
        raise ConfigError("the secret is empty", "write it to standard input")
    if "\0" in value:
        raise ConfigError("the secret has a NUL character", "only text can be a secret")
    if len(value.encode()) > LONGEST_SECRET_BYTES:
        raise ConfigError("the secret is longer than 64 KiB")
    return value


def _ask(session: Session, name: str) -> str:
    import getpass

    sys.stdout.flush()
    try:
        value = getpass.getpass(f"Value of {name}: ")
        again = getpass.getpass("Again: ")
    except EOFError:
        raise ConfigError("no value was given") from None
    if value != again:
        raise ConfigError("the two values differ; nothing was stored", "try again")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError("the secret is not UTF-8", "only text can be a secret") from None
    session.redactor.add(value)
    return value


def _expiry(text: str, now: datetime) -> datetime:
    """Returns the moment that `--expires` names: the beginning of a day in UTC, or a time on."""
    hint = "write a day such as 2027-01-31, or 90d"
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            moment = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        else:
            moment = now + timedelta(seconds=durations.parse_duration(text))
    except (OverflowError, ValueError):
        raise ConfigError(f"`{escape(text)}` is not a time to expire", hint) from None
    if moment <= now:
        raise ConfigError(f"`{escape(text)}` is over already", hint)
    return moment
