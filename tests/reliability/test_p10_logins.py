"""P10: of one credential, a server refuses at most five logins until an operator resumes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: every run tries the same

import pytest

import reconciler
from reconciler.clients import hop_logins
from reconciler.connecting import access
from reconciler.model import Json, JsonObject
from tests.contract import rivals
from tests.corpus.canary import make_key
from tests.reliability import login_life, login_servers
from tests.reliability.figures import Record
from tests.reliability.login_life import EVEN_SUSPENDED, Actor, Crowd
from tests.reliability.login_servers import NAMES, Target
from tests.servers.mariadb import mariadb

__all__ = ["mariadb"]

BUDGET = 5
#: For each kind of server.
ROUNDS, SOAK_ROUNDS = 1, 16
#: A crowd that still logs in after so many turns is not held back at all.
TURNS = 12

Run = Callable[[Crowd], list[int]]


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Runs a crowd, from one process that has imported everything."""
    with ProcessPoolExecutor(1, mp_context=rivals.CONTEXT) as pool:
        yield lambda crowd: pool.submit(login_life.run, crowd).result()


@dataclass(kw_only=True)
class Siege:
    """A project whose credential is wrong, and how often processes were sent against it."""

    run: Run
    folder: Path
    state: str
    target: Target
    env: dict[str, str] = field(default_factory=dict)
    #: how often another credential was sent to the same server
    others: int = 0
    processes: int = 0
    kills: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.target.files.items():
            (self.folder / name).write_text(text)
        (self.folder / "manifests").mkdir(exist_ok=True)
        self.declare(*self.target.manifests)

    def declare(self, *manifests: JsonObject) -> None:
        text = "---\n".join(json.dumps(manifest) + "\n" for manifest in manifests)
        (self.folder / "manifests" / "all.yaml").write_text(text)

    def go(self, *actors: Actor) -> list[int]:
        """Runs `actors` at once; returns how each ended."""
        crowd = Crowd(folder=str(self.folder), state=self.state, actors=actors, env=self.env)
        codes = self.run(crowd)
        self.processes += len(codes)
        self.kills += login_life.killed(codes)
        return codes

    @property
    def log(self) -> str:
        """What all processes have printed."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def command(self, *argv: str) -> int:
        """Runs one process to its end; returns its exit code."""
        (code,) = self.go(Actor(argv=argv))
        return code

    def exhaust(self, random: Random) -> int:
        """Sends crowds, some of whom die, until no login is made any more; returns how many were.

        The last crowd lives, and still makes none.
        """
        before = self.target.failed()
        for turn in range(TURNS):
            seen = self.target.failed()
            self.go(*self.crowd(random, deaths=0 if turn else 2))
            if turn and self.target.failed() == seen:
                break
        return self.target.failed() - before

    def crowd(self, random: Random, *, deaths: int) -> Sequence[Actor]:
        """Returns what may happen at the same time, so many of it not to its end."""
        ways = [
            ("health",),
            ("apply",),
            ("connect", *NAMES),
            (*self.target.use, EVEN_SUSPENDED),
        ]
        random.shuffle(ways)
        actors = [Actor(argv=way) for way in ways]
        for number in range(deaths):
            step = random.choice((*login_life.STEPS, ""))
            lasts_s = 0.0 if step else random.uniform(0.02, 0.3)
            actors[number] = Actor(argv=ways[number], dies=step, lasts_s=lasts_s)
        return actors

    def press(self, *names: str, ahead: timedelta = timedelta(0)) -> int:
        """Does all that sends a credential, as often as may be; returns how often it was sent."""
        before = self.target.failed()
        self.go(Actor(argv=("apply", "--health", "all"), ahead=ahead))
        self.go(Actor(argv=("connect", *(names or NAMES)), ahead=ahead))
        return self.target.failed() - before


Besiege = Callable[..., Siege]


@pytest.fixture
def besiege(run: Run, memory_path: Path) -> Besiege:
    """Makes the siege of a target."""

    def make(target: Target, url: str = f"sqlite:///{memory_path}/state.db") -> Siege:
        siege = Siege(run=run, folder=memory_path, state=url, target=target)
        siege.env["SECRET"] = "wrong"
        assert siege.command("apply", "--health", "none") == 0
        return siege

    return make


# --- races and deaths ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", login_servers.KINDS)
def test_whoever_dies_whenever_a_wrong_credential_is_sent_five_times_at_most(
    besiege: Besiege, request: pytest.FixtureRequest, kind: str, figure: Record, is_soak: bool
) -> None:
    with login_servers.open_target(kind, request) as target:
        siege, counted = besiege(target), []
        for number in range(SOAK_ROUNDS if is_soak else ROUNDS):
            siege.env["SECRET"] = f"wrong-{number}"  # a new credential has a new budget
            counted.append(siege.exhaust(Random(f"{kind} {number}")))
            assert 0 < counted[-1] <= BUDGET, siege.log
    figure("P10", "rounds", len(counted), "processes", siege.processes)
    figure("P10", "processes killed", siege.kills)
    figure("P10", "logins refused", sum(counted), "above the budget of a credential", 0)


@pytest.mark.server
def test_the_same_holds_for_a_state_in_postgresql(
    besiege: Besiege, request: pytest.FixtureRequest, postgresql_url: str, figure: Record
) -> None:
    with login_servers.open_target("bearer", request) as target:
        siege = besiege(target, postgresql_url)
        refused = siege.exhaust(Random("postgresql"))
        assert 0 < refused <= BUDGET, siege.log
    figure("P10", "rounds", 1, "processes", siege.processes, "processes killed", siege.kills)
    figure("P10", "logins refused", refused, "above the budget of a credential", 0)


@pytest.mark.parametrize("kind", login_servers.FAMILIES)
@pytest.mark.parametrize("name", NAMES)
def test_whoever_sent_it_either_can_be_resumed_and_it_is_sent_five_times_more(
    besiege: Besiege, request: pytest.FixtureRequest, kind: str, name: str
) -> None:
    with login_servers.open_target(kind, request) as target:
        siege = besiege(target)
        for _ in range(2):
            assert siege.press("a") + siege.press() == BUDGET, siege.log
            siege.command("health")  # nothing else suspends what is to be resumed
            siege.command("resume", name, "--health", "none")


# --- what was good until now ---------------------------------------------------------------------


@pytest.mark.parametrize("is_behind_proxy", [False, True], ids=["API", "proxy"])
def test_a_credential_that_is_revoked_is_reserved_again_wherever_it_was_good(
    besiege: Besiege, monkeypatch: pytest.MonkeyPatch, figure: Record, *, is_behind_proxy: bool
) -> None:
    # as if a second had passed since every look at the state
    monkeypatch.setattr(access, "_PHASE_EVERY_S", 0.0)
    monkeypatch.setattr(hop_logins, "_LOOK_EVERY_S", 0.0)
    known = {"report": "right"}
    with ExitStack() as stack:
        opening = login_servers.open_revocable(known, is_behind_proxy=is_behind_proxy)
        target = stack.enter_context(opening)
        siege = besiege(target)
        environment = {"SECRET": "right", "RECONCILER_STATE": siege.state}
        applications = [
            stack.enter_context(
                reconciler.connect(name, project=siege.folder, environment=environment)
            )
            for name in NAMES * 4
        ]
        for application in applications:
            assert application.client.get(f"/{application.ref.name}").status_code == 200
        known["report"] = "another"
        for application in applications * 3:
            with suppress(reconciler.ConnectionFailed):
                application.client.get(f"/{application.ref.name}")
        assert 0 < target.failed() <= BUDGET
    figure("P10", "programs whose credential is revoked", len(applications))


def test_a_token_that_is_still_good_forgives_no_refused_secret(
    besiege: Besiege, figure: Record
) -> None:
    with login_servers.open_oauth2() as (target, provider):
        siege = besiege(target)
        siege.env |= {"SECRET": "right", "RECONCILER_KEY": make_key()}
        siege.command("health", "a")
        assert len(provider.issued) == 1
        provider.clients["crm"].secret = "another"
        for _ in range(BUDGET + 1):
            siege.command("health", "b")
            siege.go(Actor(argv=("health", "a")), Actor(argv=("connect", "a")))
        assert len(provider.issued) == 1
        assert target.failed() == BUDGET, siege.log
    figure("P10", "events that are no order", 1, "logins bought", 0)


# --- what buys no login --------------------------------------------------------------------------


def declare(siege: Siege, *manifests: JsonObject, stack: str = "default") -> None:
    """Applies exactly these manifests; nothing is checked."""
    siege.declare(*manifests)
    options = ("--prune", "--yes", "--health", "none", "--stack", stack)
    assert siege.command("apply", *options) == 0, siege.log


def with_metadata(manifest: JsonObject, **metadata: Json) -> JsonObject:
    return {**manifest, "metadata": {**manifest["metadata"], **metadata}}


def with_spec(**spec: Json) -> Callable[[Siege], None]:
    """Returns what applies both manifests with other fields."""

    def act(siege: Siege) -> None:
        both = siege.target.manifests
        declare(siege, *({**each, "spec": {**each["spec"], **spec}} for each in both))

    return act


def rename(siege: Siege) -> None:
    a, b = siege.target.manifests
    declare(siege, with_metadata(a, name="c", previousNames=["a"]), b)


def archive_and_make_anew(siege: Siege) -> None:
    assert siege.command("archive", "a", "b", "--yes") == 0
    declare(siege, *(with_metadata(each, description="new") for each in siege.target.manifests))


def prune_and_make_anew(siege: Siege) -> None:
    a, b = siege.target.manifests
    declare(siege, b)
    declare(siege, a)
    declare(siege, a, b)


def delete_and_make_anew(siege: Siege) -> None:
    with_spec(deletionPolicy="delete")(siege)
    prune_and_make_anew(siege)


def roll_back(siege: Siege) -> None:
    with_spec(timeout={"connect": "7s"})(siege)
    assert siege.command("rollback", "a", "--to", "1", "--health", "none") == 0, siege.log


def make_another(siege: Siege) -> None:
    a, b = siege.target.manifests
    declare(siege, a, b, with_metadata(a, name="c", namespace="other"))


def use_another_stack(siege: Siege) -> None:
    a, b = siege.target.manifests
    declare(siege, with_metadata(a, name="c"), with_metadata(b, name="d"), stack="other")
    siege.env["RECONCILER_STACK"] = "other"


def adopt(siege: Siege) -> None:
    siege.env["RECONCILER_STACK"] = "other"
    assert siege.command("apply", "--adopt", "--health", "none") == 0, siege.log


def rotate_and_back(siege: Siege) -> None:
    siege.env["SECRET"] = "other"
    siege.others = siege.press()
    assert siege.others == BUDGET
    siege.env["SECRET"] = "wrong"
    siege.command("apply")


def restore_older_state(siege: Siege) -> None:
    assert siege.command("state", "restore", "before.db", "--replace", "--yes") == 0, siege.log


def restore_twice(siege: Siege) -> None:
    restore_older_state(siege)
    restore_older_state(siege)


def suspend_and_apply(siege: Siege) -> None:
    siege.command("suspend", "a", "b")
    siege.command("apply")


def set_limits(siege: Siege) -> None:
    siege.env |= {"RECONCILER_HEALTH_PER_HOST": "50", "RECONCILER_HEALTH_CONCURRENCY": "50"}
    siege.command("health", "--concurrency", "100")
    siege.env["RECONCILER_HEALTH_LOGIN_BUDGET"] = "6"
    assert siege.command("health") == 2
    siege.env["RECONCILER_HEALTH_LOGIN_BUDGET"] = "5"


def move_secret(siege: Siege) -> None:
    (siege.folder / "secret").write_text("wrong")
    with_spec(auth={"method": "bearer", "token": {"file": "secret"}})(siege)


def turn_to_other_method(siege: Siege) -> None:
    header = {"method": "headers", "headers": {"X-Key": login_servers.REFERENCE}}
    with_spec(auth=header)(siege)


#: What happens in the life of a connection, and is no order to try a credential again.
EVENTS: Mapping[str, Callable[[Siege], None]] = {
    "rename": rename,
    "archive and make anew": archive_and_make_anew,
    "prune and make anew": prune_and_make_anew,
    "delete and make anew": delete_and_make_anew,
    "rollback": roll_back,
    "another connection": make_another,
    "another stack": use_another_stack,
    "adoption": adopt,
    "rotation and back": rotate_and_back,
    "older state": restore_older_state,
    "older state, twice": restore_twice,
    "suspension": suspend_and_apply,
    "settings": set_limits,
    "health": with_spec(health={"path": "/c", "suspendAfter": 7, "failureThreshold": 3}),
    "headers": with_spec(headers={"Accept": "text/plain"}),
    "time limits": with_spec(timeout={"connect": "7s", "total": "9s"}),
    "secret in another place": move_secret,
    "another method": turn_to_other_method,
}


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_but_an_operator_gives_a_credential_more_logins(
    besiege: Besiege, request: pytest.FixtureRequest, event: str, figure: Record
) -> None:
    with login_servers.open_target("bearer", request) as target:
        siege = besiege(target)
        if event.startswith("older"):
            assert siege.command("state", "backup", "before.db") == 0
        siege.command("connect", *NAMES)
        assert target.failed() == BUDGET
        EVENTS[event](siege)
        siege.press("a", "b", "c", "d")
        assert target.failed() == BUDGET + siege.others, siege.log
    figure("P10", "events that are no order", 1, "logins bought", 0)


@pytest.mark.parametrize(
    "ahead",
    [timedelta(hours=-1), timedelta(days=3653), timedelta(days=-3653)],
    ids=["an hour back", "ten years ahead", "ten years back"],
)
def test_a_clock_that_steps_gives_no_more_logins(
    besiege: Besiege, request: pytest.FixtureRequest, figure: Record, ahead: timedelta
) -> None:
    with login_servers.open_target("bearer", request) as target:
        siege = besiege(target)
        siege.go(Actor(argv=("health",), dies="before the record"))
        used = target.failed()
        assert 0 < used < BUDGET
        siege.press(ahead=ahead)
        siege.press()
        assert used < target.failed() <= BUDGET
    figure("P10", "events that are no order", 1, "logins bought", 0)
