"""Recalling files is never seen: who recalls them finds and plans what who reads them does.

Folders of files are edited in any way, some files with mistakes, warnings, or names of others, and
are read after each edit with and without what the store knows; what can be applied is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from reconciler import desired, reconcile, secret_sources, stores
from reconciler.errors import ReconcilerError
from reconciler.model import Plan, PlanOptions
from reconciler.redact import Redactor
from reconciler.settings import SecretPolicy, Settings
from reconciler.stores import Opening, Store
from tests import factories

PLAIN = "apiVersion: reconciler/v1\nkind: ApiConnection\nmetadata: {{name: {}{}}}\n"
SPEC = "spec: {{baseUrl: 'https://h.example:{}', auth: {{method: none}}{}}}\n"
NAMES = ("a", "b", "c")


@st.composite
def documents(draw: st.DrawFn) -> str:
    former = draw(st.sampled_from(["", "", "", ", previousNames: [a]"]))
    head = PLAIN.format(draw(st.sampled_from(NAMES)), former)
    more = draw(
        st.sampled_from(
            [
                *(
                    "",
                    "",
                    "",
                    ", state: suspended",
                    ", state: archived",
                    ", deletionPolicy: delete",
                ),
                ", databse: x",
                ", headers: {X-Feature: yes}",  # a warning: other readers see a boolean
                ", tls: {ca: {file: /etc/shadow}}",
            ]
        )
    )
    return (
        draw(st.sampled_from(["", "", "# a comment\n"]))
        + head
        + SPEC.format(draw(st.sampled_from([1, 2])), more)
    )


FILES = st.lists(documents(), max_size=2).map("---\n".join)
FOLDERS = st.dictionaries(st.sampled_from(["x.yaml", "y.yaml", "z/x.yaml"]), FILES)


def lay(folder: Path, files: dict[str, str]) -> None:
    for file in folder.rglob("*.yaml"):
        file.unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def planned(
    reading: desired.Reading, store: Store, options: PlanOptions
) -> Plan | tuple[type[ReconcilerError], str]:
    try:
        return reconcile.make_plan(reading, store, options)
    except ReconcilerError as error:
        return type(error), str(error)


@contextmanager
def bench() -> Iterator[tuple[reconcile.Workspace, Store]]:
    """Gives a project with an empty folder `m` and a store."""
    with TemporaryDirectory() as root:
        policy = SecretPolicy(root=root)
        settings = Settings(
            root=root, state_url="sqlite://", is_default_state=False, secrets=policy
        )
        redactor = Redactor()
        numbers = iter(range(10**6))
        workspace = reconcile.Workspace(
            settings=settings,
            redactor=redactor,
            secrets=secret_sources.Secrets(policy, {}, redactor, clock=lambda: factories.NOW),
            clock=lambda: factories.NOW,
            make_id=lambda prefix: f"{prefix}{next(numbers):015d}",
        )
        (Path(root) / "m").mkdir()
        store = stores.open_store("sqlite://", Opening.WRITE, now=factories.NOW)
        try:
            yield workspace, store
        finally:
            store.close()


def read(workspace: reconcile.Workspace, memory: reconcile.Memory | None) -> desired.Reading:
    settings = workspace.settings
    recall = memory.recall if memory else None
    return desired.read_manifests(
        ["m"], settings=settings, cwd=settings.root, recall=recall, keeps=memory is not None
    )


def apply(
    workspace: reconcile.Workspace, store: Store, options: PlanOptions, reading: desired.Reading
) -> None:
    memory = reconcile.remember(store, workspace.settings)
    reconcile.apply_manifests(
        workspace, reading, store, options, memory=memory, with_secrets=False, git_facts=None
    )


@given(st.lists(FOLDERS, min_size=2, max_size=5), st.booleans())
def test_recalling_is_never_seen(folders: list[dict[str, str]], prune: bool) -> None:
    options = PlanOptions(stack="default", roots=("m",), prune=prune, prune_limit=100)
    with bench() as (workspace, store):
        for files in folders:
            lay(Path(workspace.settings.root) / "m", files)
            fresh = read(workspace, None)
            recalled = read(workspace, reconcile.remember(store, workspace.settings))
            assert replace(recalled, read=(), recalled=frozenset()) == fresh
            plan = planned(fresh, store, options)
            assert planned(recalled, store, options) == plan
            if isinstance(plan, Plan):
                apply(workspace, store, options, recalled)


def test_files_are_recalled_once_they_are_applied_and_forgotten_once_they_are_gone() -> None:
    options = PlanOptions(stack="default", roots=("m",), prune=True)
    files = {f"{name}.yaml": PLAIN.format(name, "") + SPEC.format(1, "") for name in NAMES}
    with bench() as (workspace, store):
        folder = Path(workspace.settings.root) / "m"
        lay(folder, files)
        apply(
            workspace,
            store,
            options,
            read(workspace, reconcile.remember(store, workspace.settings)),
        )
        again = read(workspace, reconcile.remember(store, workspace.settings))
        assert again.read == ()
        assert again.recalled == frozenset({"m/a.yaml", "m/b.yaml", "m/c.yaml"})
        del files["c.yaml"]
        lay(folder, files | {"a.yaml": files["a.yaml"] + "# a comment"})
        later = read(workspace, reconcile.remember(store, workspace.settings))
        assert [file.path for file in later.read] == ["m/a.yaml"]
        assert later.recalled == frozenset({"m/b.yaml"})
        apply(workspace, store, options, later)
        assert store.readings("default").keys() == {"m/a.yaml", "m/b.yaml"}
        assert store.readings("other") == {}
