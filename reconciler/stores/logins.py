"""The login budget: statements on `login_attempts`, inside a transaction of the caller.

The promise is that the server counts at most `budget` failed logins of one credential, whatever
dies when (reliability P10), so an attempt is written before the credential is sent and counts from
then on. Attempts of one credential by one connection are told apart by their deadlines alone. Where
a result does not know that of its own, a running one is taken, and of these the one with the latest
deadline: others may belong to dead processes.

A connection that is kept from logging in by the failures of others leaves a mark beside them, which
counts for nothing: by it `forgive` finds the credential when somebody resumes that connection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from reconciler.model import Outcome, Phase, Reason, StageName
from reconciler.settings import LONGEST_LOGIN_S
from reconciler.stores import HealthWrite, LoginRequest, Verdict
from reconciler.stores.batches import batches
from reconciler.stores.tables import connections, login_attempts
from reconciler.stores.texts import moment_text

_OPEN, _FAILED, _BARRED = "open", "failed", "barred"
_PROBED = {Phase.PENDING.value, Phase.ACTIVE.value, Phase.FAILED.value}
_attempt = login_attempts.c


#: After which moment and until which one the deadline of a running attempt lies.
_Span: TypeAlias = tuple[str, str]


def _running(now: datetime) -> _Span:
    """Returns when attempts that are running now end.

    One whose deadline is over belongs to a dead process. One whose deadline is further away than
    any can be was begun before the clock was set back; to wait for it could take years.
    """
    return moment_text(now), moment_text(now + timedelta(seconds=LONGEST_LOGIN_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    id: int
    credential_key: str
    uid: str
    state: str
    deadline_at: str

    @property
    def is_counted(self) -> bool:
        return self.state != _BARRED

    def counts_as_failed(self, running: _Span) -> bool:
        is_over = not running[0] < self.deadline_at <= running[1]
        return self.state == _FAILED or (self.state == _OPEN and is_over)


def reserve(
    connection: Connection, requests: Sequence[LoginRequest], *, now: datetime, budget: int
) -> tuple[Verdict, ...]:
    """Answers `requests` in order and writes an open attempt for each granted one."""
    current = _versions(connection, {request.uid for request in requests})
    running = _running(now)
    used: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    known: set[tuple[str, str]] = set()
    for attempt in _attempts(connection, {request.credential_key for request in requests}):
        known.add((attempt.credential_key, attempt.uid))
        used[attempt.credential_key] += attempt.is_counted
        failed[attempt.credential_key] += attempt.counts_as_failed(running)

    verdicts = []
    made: list[dict[str, str]] = []
    for request in requests:
        key = request.credential_key
        if request.version is not None and current.get(request.uid) != request.version:
            verdicts.append(Verdict.STALE)
        elif used[key] < budget:
            verdicts.append(Verdict.GRANTED)
            used[key] += 1
            made.append(_columns(request.uid, key, _OPEN, request.deadline_at))
        elif failed[key] < budget:
            verdicts.append(Verdict.WAIT)
        else:
            verdicts.append(Verdict.EXHAUSTED)
            if (key, request.uid) not in known:
                known.add((key, request.uid))
                made.append(_columns(request.uid, key, _BARRED, now))
    if made:
        connection.execute(insert(login_attempts), made)
    return tuple(verdicts)


def bar(connection: Connection, request: LoginRequest, *, now: datetime) -> None:
    """Leaves the mark of a connection that others have kept from a login; see `Store.bar`."""
    attempts = _attempts(connection, {request.credential_key})
    if not any(attempt.uid == request.uid for attempt in attempts):
        made = _columns(request.uid, request.credential_key, _BARRED, now)
        connection.execute(insert(login_attempts), made)


def has_failed(connection: Connection, key: str) -> bool:
    """Whether a refused login with the credential was not forgiven since."""
    attempts = _attempts(connection, {key})
    return any(attempt.state == _FAILED for attempt in attempts)


def release(connection: Connection, requests: Sequence[LoginRequest]) -> None:
    """Deletes one open attempt per request: nothing was sent."""
    own = (
        select(func.max(_attempt.id))
        .where(_attempt.credential_key == bindparam("request_key"))
        .where(_attempt.uid == bindparam("request_uid"))
        .where(_attempt.deadline_at == bindparam("request_deadline"))
        .where(_attempt.state == _OPEN)
    )
    connection.execute(
        delete(login_attempts).where(_attempt.id == own.scalar_subquery()),
        [
            {
                "request_key": request.credential_key,
                "request_uid": request.uid,
                "request_deadline": moment_text(request.deadline_at),
            }
            for request in requests
        ],
    )


def settle(connection: Connection, writes: Iterable[HealthWrite], *, now: datetime) -> None:
    """Settles the attempt behind each result; see `Store.record`.

    A failed login whose attempt is gone (forgiven while it ran) is written as failed all the same:
    the server has counted it.
    """
    _settle(connection, [_result(write) for write in writes if write.credential_key], now)


def settle_one(
    connection: Connection, request: LoginRequest, *, is_accepted: bool, now: datetime
) -> None:
    """Settles the attempt of a login that has no result of its own; see `Store.settle`."""
    result = _Result(
        credential_key=request.credential_key,
        uid=request.uid,
        is_refused=not is_accepted,
        is_ok=is_accepted,
        at=now,
        deadline=moment_text(request.deadline_at),
    )
    _settle(connection, [result], now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What came of one login."""

    credential_key: str
    uid: str
    is_refused: bool
    is_ok: bool
    at: datetime
    #: of its attempt, or empty where that is not known
    deadline: str = ""


#: A credential that is refused there is not the one that the server would have been sent.
_HOPS = (StageName.TUNNEL, StageName.PROXY)


def _result(write: HealthWrite) -> _Result:
    observation = write.observation
    ended = observation.stages[-1].name if observation.stages else None
    return _Result(
        credential_key=write.credential_key,
        uid=observation.uid,
        is_refused=observation.reason is Reason.AUTH_FAILED and ended not in _HOPS,
        is_ok=observation.outcome is Outcome.OK and observation.is_login,
        at=observation.observed_at,
        deadline=moment_text(write.deadline_at) if write.deadline_at else "",
    )


def _settle(connection: Connection, results: Sequence[_Result], now: datetime) -> None:
    if not results:
        return
    attempts = _attempts(connection, {result.credential_key for result in results})
    settlement = _Settlement(attempts={attempt.id: attempt for attempt in attempts})
    for result in results:
        settlement.add(result, _running(now))
    if settlement.gone:
        statement = delete(login_attempts).where(_attempt.id == bindparam("attempt"))
        connection.execute(statement, [{"attempt": number} for number in settlement.gone])
    if settlement.failed:
        statement_of_failure = update(login_attempts).where(_attempt.id == bindparam("attempt"))
        connection.execute(
            statement_of_failure,
            [{"attempt": number, "state": _FAILED} for number in settlement.failed],
        )
    if settlement.added:
        connection.execute(insert(login_attempts), settlement.added)


def forgive(connection: Connection, uids: Sequence[str], *, now: datetime | None) -> None:
    """Deletes what counts as failed of every credential that these connections used.

    Attempts that are still running stay: their logins may yet fail. Without `now`, nobody can say
    which are. The marks go as well.
    """
    forgiven: ColumnElement[bool] = _attempt.state.in_((_FAILED, _BARRED))
    if now is not None:
        after, until = _running(now)
        forgiven |= (_attempt.deadline_at <= after) | (_attempt.deadline_at > until)
    for batch in batches(uids):
        keys = select(_attempt.credential_key).where(_attempt.uid.in_(batch))
        connection.execute(
            delete(login_attempts).where(_attempt.credential_key.in_(keys)).where(forgiven)
        )


@dataclass(slots=True, kw_only=True)
class _Settlement:
    """What becomes of the attempts of one batch; `attempts` holds those not yet decided."""

    attempts: dict[int, _Attempt]
    gone: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    added: list[dict[str, str]] = field(default_factory=list)

    def add(self, result: _Result, running: _Span) -> None:
        key, uid = result.credential_key, result.uid
        own = max(
            (a for a in self.attempts.values() if _is_own(a, key, uid)),
            key=lambda a: (
                a.deadline_at == result.deadline,
                not a.counts_as_failed(running),
                a.deadline_at,
                a.id,
            ),
            default=None,
        )
        if own is not None:
            del self.attempts[own.id]
        if result.is_refused:
            if own is None:
                self.added.append(_columns(uid, key, _FAILED, result.at))
            else:
                self.failed.append(own.id)
            return
        if own is not None:
            self.gone.append(own.id)
        if result.is_ok:
            self._forget(key, running)

    def _forget(self, key: str, running: _Span) -> None:
        settled = [
            attempt.id
            for attempt in self.attempts.values()
            if attempt.credential_key == key
            and (attempt.counts_as_failed(running) or not attempt.is_counted)
        ]
        for number in settled:
            del self.attempts[number]
        self.gone += settled


def _is_own(attempt: _Attempt, key: str, uid: str) -> bool:
    return attempt.state == _OPEN and attempt.credential_key == key and attempt.uid == uid


def _columns(uid: str, key: str, state: str, deadline_at: datetime) -> dict[str, str]:
    return {
        "credential_key": key,
        "uid": uid,
        "state": state,
        "deadline_at": moment_text(deadline_at),
    }


def _attempts(connection: Connection, keys: Collection[str]) -> list[_Attempt]:
    columns = (
        _attempt.id,
        _attempt.credential_key,
        _attempt.uid,
        _attempt.state,
        _attempt.deadline_at,
    )
    return [
        _Attempt(id=number, credential_key=key, uid=uid, state=state, deadline_at=deadline_at)
        for batch in batches(keys)
        for number, key, uid, state, deadline_at in connection.execute(
            select(*columns).where(_attempt.credential_key.in_(batch))
        )
    ]


def _versions(connection: Connection, uids: Collection[str]) -> dict[str, int]:
    """Returns the versions of those rows whose phase allows a probe."""
    table = connections.c
    return {
        uid: version
        for batch in batches(uids)
        for uid, version in connection.execute(
            select(table.uid, table.version)
            .where(table.uid.in_(batch), table.phase.in_(_PROBED))
            .with_for_update()
        )
    }
