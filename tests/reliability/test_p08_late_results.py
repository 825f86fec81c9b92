"""P8: a result belongs to the generation that it was found on, and to no other.

A real pass waits for a slow endpoint; meanwhile another process changes the connection, and only
then the endpoint answers. What was found counts where the connection is still the one that was
looked at, and changes nothing of it where it is not.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from reconciler import holds, observing
from reconciler.model import Json, Phase, Reason, Recorded
from tests.reliability import stages
from tests.reliability.figures import Record
from tests.reliability.stages import FAILED, World
from tests.servers import http_routes
from tests.servers.http import Client, Route, Server, http_server

SECRET = "TOKEN"
_UID = "conn_000000000000002"
#: What the endpoint says in the end: the best that it can, and the worst.
ANSWERS = {"ok": 200, "refused": 401}


class SlowRoute:
    """Answers when it is told to, and tells when it was asked."""

    def __init__(self, then: Route) -> None:
        self.asked, self.told = threading.Event(), threading.Event()
        self._then = then

    async def __call__(self, client: Client) -> None:
        self.asked.set()
        await asyncio.to_thread(self.told.wait)
        await self._then(client)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One connection in a store that two processes have open."""

    #: whose pass is waiting
    slow: World
    #: who changes the connection meanwhile
    other: World
    server: Server

    def manifest(self, *, metadata: Json = None, **spec: Json) -> dict[str, Json]:
        """Returns the manifest of the connection with fields replaced."""
        return {
            "apiVersion": "reconciler/v1",
            "kind": "ApiConnection",
            "metadata": {"name": "crm", **(metadata or {})},
            "spec": {
                "baseUrl": self.server.url,
                "auth": {"method": "bearer", "token": {"env": SECRET}},
                "timeout": {"total": "60s"},
                "health": {"path": "/ping", "timeout": "60s"},
                **spec,
            },
        }

    def apply(self, manifest: dict[str, Json] | None, *, prune: bool = False) -> None:
        """Applies what another process wants; None is a set that lacks the connection."""
        rest = {**self.manifest(), "metadata": {"name": "rest"}}
        files = stages.files_of([manifest or rest])
        self.other.apply(files, stages.options(prune=prune))

    def row(self) -> Recorded:
        """Returns the connection that the pass looks at, as it is now."""
        (row,) = self.other.store.find([_UID])
        return row

    def order(self, carry: holds.Carry) -> None:
        """Carries out a command on the connection."""
        self.other.carry_out(self.row(), carry)

    async def meddle(
        self, route: SlowRoute, act: Callable[[Scene], None]
    ) -> tuple[Recorded | None, tuple[observing.HealthResult, ...]]:
        """Lets `act` happen while the endpoint is slow; returns the row then, and the results."""
        with ExitStack() as stack:
            stack.callback(route.told.set)
            checking = asyncio.create_task(self.slow.checking())
            await asyncio.to_thread(route.asked.wait)
            await asyncio.to_thread(act, self)
            found = self.other.store.find([_UID])
        return (found[0] if found else None), await checking


@pytest.fixture
def scene(shared_url: str) -> Iterator[Scene]:
    environment = {SECRET: "the-first-token"}
    slow, other = (World.open(shared_url, environment) for _ in "ab")
    with http_server({}) as server:
        made = Scene(slow=slow, other=other, server=server)
        made.apply(made.manifest())
        yield made
    slow.store.close()
    other.store.close()


def _change_access(scene: Scene) -> None:
    scene.apply(scene.manifest(headers={"Accept": "text/plain"}))


def _change_thresholds(scene: Scene) -> None:
    health = {"path": "/ping", "timeout": "60s", "failureThreshold": 3}
    scene.apply(scene.manifest(health=health))


def _change_and_change_back(scene: Scene) -> None:
    _change_access(scene)
    scene.apply(scene.manifest())


def _suspend_by_manifest(scene: Scene) -> None:
    scene.apply(scene.manifest(state="suspended"))


def _suspend_and_activate(scene: Scene) -> None:
    _suspend_by_manifest(scene)
    scene.apply(scene.manifest())


def _archive_by_manifest(scene: Scene) -> None:
    scene.apply(scene.manifest(state="archived"))


def _prune(scene: Scene) -> None:
    scene.apply(None, prune=True)


def _delete(scene: Scene) -> None:
    scene.apply(scene.manifest(deletionPolicy="delete"))
    scene.apply(None, prune=True)


def _replace(scene: Scene) -> None:
    _prune(scene)
    scene.apply(scene.manifest())


def _suspend(scene: Scene) -> None:
    scene.order(holds.suspend)


def _archive(scene: Scene) -> None:
    scene.order(holds.archive)


def _rotate(scene: Scene) -> None:
    scene.other.environment[SECRET] = "the-second-token"
    scene.apply(scene.manifest())


def _suspend_by_health(scene: Scene) -> None:
    row = scene.row()
    for _ in range(5):
        scene.other.record([row], {row.uid: FAILED})


def _roll_back(scene: Scene) -> None:
    _change_access(scene)
    scene.other.roll_back(scene.row(), 1)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(_change_access, id="access changed"),
        pytest.param(_change_thresholds, id="thresholds changed"),
        pytest.param(_change_and_change_back, id="changed and changed back"),
        pytest.param(_suspend_by_manifest, id="suspended by manifest"),
        pytest.param(_suspend_and_activate, id="suspended and active again"),
        pytest.param(_archive_by_manifest, id="archived by manifest"),
        pytest.param(_prune, id="pruned"),
        pytest.param(_delete, id="deleted"),
        pytest.param(_replace, id="replaced by a namesake"),
        pytest.param(_suspend, id="suspended"),
        pytest.param(_archive, id="archived"),
        pytest.param(_rotate, id="secret rotated"),
        pytest.param(_suspend_by_health, id="suspended by health"),
        pytest.param(_roll_back, id="rolled back"),
    ],
)
def test_late_result_changes_nothing_of_what_came_after(
    scene: Scene, act: Callable[[Scene], None], answer: str, figure: Record
) -> None:
    route = SlowRoute(http_routes.answer(ANSWERS[answer]))
    scene.server.routes["/ping"] = route
    meant, results = asyncio.run(scene.meddle(route, act))
    assert [row.status for row in scene.other.store.find([_UID])] == (
        [meant.status] if meant else []
    )
    assert [result.transition for result in results] in ([], [None])
    newer = [row for row in scene.other.store.recorded() if row.uid != _UID]
    assert all(row.status.checked_at is None for row in newer)
    figure("P8", "rounds", 1, "results recorded on another generation", 0)


def _label(scene: Scene) -> None:
    scene.apply(scene.manifest(metadata={"labels": {"team": "hr"}}))


def _rename(scene: Scene) -> None:
    metadata = {"name": "renamed", "previousNames": ["crm"]}
    scene.apply(scene.manifest(metadata=metadata))


def _suspend_and_resume(scene: Scene) -> None:
    _suspend(scene)
    scene.order(holds.resume)


def _nothing(_: Scene) -> None:
    """Changes nothing."""


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(_nothing, id="nothing"),
        pytest.param(_label, id="labelled"),
        pytest.param(_rename, id="renamed"),
        pytest.param(_suspend_and_resume, id="suspended and resumed"),
    ],
)
def test_result_counts_where_generation_and_secret_are_the_same(
    scene: Scene, act: Callable[[Scene], None]
) -> None:
    route = SlowRoute(http_routes.answer(500))
    scene.server.routes["/ping"] = route
    asyncio.run(scene.meddle(route, act))
    status = scene.row().status
    assert (status.phase, status.reason, status.consecutive_failures) == (
        Phase.FAILED,
        Reason.SERVER_ERROR,
        1,
    )


def test_results_of_two_passes_add_up(scene: Scene) -> None:
    def record_another(scene: Scene) -> None:
        row = scene.row()
        scene.other.record([row], {row.uid: FAILED})

    route = SlowRoute(http_routes.answer(500))
    scene.server.routes["/ping"] = route
    asyncio.run(scene.meddle(route, record_another))
    assert scene.row().status.consecutive_failures == 2


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(_change_access, id="access changed"),
        pytest.param(_rotate, id="secret rotated"),
        pytest.param(_suspend, id="suspended"),
    ],
)
def test_used_up_budget_of_before_suspends_nothing_of_what_came_after(
    scene: Scene, act: Callable[[Scene], None]
) -> None:
    seen = scene.row()
    act(scene)
    before = scene.row()
    scene.slow.record([seen], {seen.uid: None})
    assert scene.row() == before
