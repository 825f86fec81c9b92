"""`authorize`: a person agrees to a connection once, and it is checked at once; or takes it back.

What a person has to do is printed as data, so that a script can hand it on; what is said besides
goes to standard error.
"""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from typing import TYPE_CHECKING

import click

from reconciler import authorizing, reconcile, report
from reconciler.cli import completing, probing, workbench
from reconciler.cli.frame import command
from reconciler.cli.session import Session
from reconciler.kinds import durations
from reconciler.model import Recorded
from reconciler.report import formats
from reconciler.stores import Opening, Store

if TYPE_CHECKING:
    from reconciler.report.views import HealthView
    from reconciler.tokens.consent import Prompt

_LONGEST_S = 3600.0


def _duration(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    try:
        seconds = durations.parse_duration(text)
    except ValueError:
        raise click.BadParameter("a duration is a number and a unit: 90s, 5m") from None
    if not 1.0 <= seconds <= _LONGEST_S:
        raise click.BadParameter("it is from 1s to 1h")
    return seconds


@command(
    "authorize",
    examples=(
        "reconciler authorize sales/crm",
        "reconciler authorize crm --no-browser",
        "reconciler authorize crm --revoke",
    ),
)
@click.argument("name", shell_complete=completing.connections)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--within",
    "within_s",
    default="5m",
    show_default=True,
    callback=_duration,
    metavar="DURATION",
    help="How long to wait for the person.",
)
@click.option("--revoke", is_flag=True, help="Give the kept token back to its server instead.")
@click.option("--allow-unhealthy", is_flag=True, help="Exit 0 even where the check fails.")
@click.pass_obj
def authorize(
    session: Session,
    *,
    name: str,
    no_browser: bool,
    within_s: float,
    revoke: bool,
    allow_unhealthy: bool,
) -> int:
    """Have a person agree to an OAuth connection, keep its token, and check it.

    Prints an address, and for a device a code. After a consent in the browser the token is kept
    encrypted in the state; `health` renews it from then on. With --revoke the token is given back
    to the server of `revocationUrl` and forgotten; archiving a connection only forgets it. What is
    suspended can be agreed to as well: it stays suspended.
    """
    workspace = workbench.make_workspace(session)
    with workbench.open_store(session, Opening.WRITE) as store:
        row = workbench.find(store, name)
        if revoke:
            asyncio.run(authorizing.revoke(workspace, store, row))
            session.output.say(f"revoked the token of `{row.ref}`\n")
            return 0
        authorizing.require_consent(workspace, row)
        if not row.status.is_probed:
            told = "which it stays: its token is kept for later, and nothing is checked"
            session.output.say(f"`{row.ref}` is {row.status.phase}, {told}\n")
        view = asyncio.run(
            _authorize(
                session, workspace, store, row, within_s=within_s, has_browser=not no_browser
            )
        )
    if view is None:
        return 0
    session.output.say(report.formatter(formats.HEALTH, "table")(view, session.output.talk_style))
    workbench.warn_of_secrets(session, workspace)
    return probing.view_code(view, allow_unhealthy=allow_unhealthy)


async def _authorize(
    session: Session,
    workspace: reconcile.Workspace,
    store: Store,
    row: Recorded,
    *,
    within_s: float,
    has_browser: bool,
) -> HealthView | None:
    """Returns what the check found, None where the connection is not to be checked."""

    def tell(prompt: Prompt) -> None:
        _tell(session, prompt, has_browser=has_browser)

    missing = await authorizing.authorize(workspace, store, row, tell, within_s=within_s)
    session.output.say(f"authorized `{row.ref}`\n")
    if missing:
        session.output.say(f"warning: the server did not grant {', '.join(missing)}\n")
    if not row.status.is_probed:
        session.output.say(f"to have it checked: reconciler resume {row.ref}\n")
        return None
    return await probing.probe(session, workspace, store, store.find([row.uid]))


def _tell(session: Session, prompt: Prompt, *, has_browser: bool) -> None:
    clean = session.redactor.clean
    code = f"code: {clean(prompt.code)}\n" if prompt.code else ""
    limit = len(prompt.address) * 4  # an address that is cut is none
    session.output.data(f"{clean(prompt.address, limit)}\n{code}")
    session.output.stdout.flush()
    if has_browser and _has_screen(session) and webbrowser.open(prompt.address):
        session.output.say("opened it in the browser; waiting for the consent\n")
    elif prompt.is_local:
        session.output.say("open it in a browser on this machine; waiting for the consent\n")
    else:
        session.output.say("open it anywhere and enter the code; waiting for the consent\n")


def _has_screen(session: Session) -> bool:
    """Whether a window can open; a browser in this terminal would take it over."""
    has_display = any(map(session.environment.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    return session.output.can_ask and (has_display or sys.platform == "darwin")
