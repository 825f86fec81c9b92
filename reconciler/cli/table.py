"""The table of commands: name, where it is, and its line in `--help`.

Apart from the commands, so that showing what there is imports none of them.
"""

from __future__ import annotations

from reconciler.cli.frame import Row

_WRITE, _CHECK, _HELP = "Write manifests", "Check them", "Get help"
_APPLY, _LOOK, _ORDER = "Apply them", "See how they are", "Take things in hand"

#: Name -> command, in the order in which `--help` shows them.
ROWS = {
    "init": Row(
        target="reconciler.cli.authoring:init",
        summary="Start a project: settings, a sample manifest, editor support",
        section=_WRITE,
    ),
    "new": Row(
        target="reconciler.cli.authoring:new",
        summary="Print a commented manifest to fill in",
        section=_WRITE,
    ),
    "validate": Row(
        target="reconciler.cli.checking:validate",
        summary="Check manifests; needs no network, no state and no secrets",
        section=_CHECK,
    ),
    "schema": Row(
        target="reconciler.cli.checking:schema",
        summary="Print the JSON Schema of a kind",
        section=_CHECK,
    ),
    "explain": Row(
        target="reconciler.cli.checking:explain",
        summary="Explain a code such as E104, with an example put right",
        section=_CHECK,
    ),
    "plan": Row(
        target="reconciler.cli.planning:plan",
        summary="Show what apply would change; writes nothing (alias: diff)",
        section=_APPLY,
    ),
    "diff": Row(target="reconciler.cli.planning:plan", summary="The same as plan"),
    "apply": Row(
        target="reconciler.cli.planning:apply",
        summary="Make the state what the manifests say, then check what changed",
        section=_APPLY,
    ),
    "health": Row(
        target="reconciler.cli.probing:health",
        summary="Connect to connections and record what was found",
        section=_LOOK,
    ),
    "status": Row(
        target="reconciler.cli.showing:status",
        summary="List connections, the worst first",
        section=_LOOK,
    ),
    "describe": Row(
        target="reconciler.cli.showing:describe",
        summary="Show everything known of one connection",
        section=_LOOK,
    ),
    "history": Row(
        target="reconciler.cli.showing:history",
        summary="List the applied changes of one connection",
        section=_LOOK,
    ),
    "events": Row(
        target="reconciler.cli.showing:events",
        summary="List what happened, oldest first",
        section=_LOOK,
    ),
    "suspend": Row(
        target="reconciler.cli.ordering:suspend",
        summary="Stop checking connections until resume",
        section=_ORDER,
    ),
    "resume": Row(
        target="reconciler.cli.ordering:resume",
        summary="Check suspended connections again",
        section=_ORDER,
    ),
    "authorize": Row(
        target="reconciler.cli.authorizing:authorize",
        summary="Have a person agree to an OAuth connection",
        section=_ORDER,
    ),
    "archive": Row(
        target="reconciler.cli.ordering:archive",
        summary="End connections for good",
        section=_ORDER,
    ),
    "rollback": Row(
        target="reconciler.cli.ordering:rollback",
        summary="Bring an earlier revision of a connection back",
        section=_ORDER,
    ),
    "secret": Row(
        target="reconciler.cli.secrets:secret",
        summary="Keep secrets in the state, encrypted",
        section=_ORDER,
    ),
    "state": Row(
        target="reconciler.cli.state:state",
        summary="Look after the state store: info, check, backup, restore, migrate",
        section=_ORDER,
    ),
    "doctor": Row(
        target="reconciler.cli.doctor:doctor",
        summary="Check this machine: drivers, state store, environment, git",
        section=_HELP,
    ),
    "completion": Row(
        target="reconciler.cli.completion:completion",
        summary="Print a script that completes commands in a shell",
        section=_HELP,
    ),
}
