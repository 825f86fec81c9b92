"""Statements that an engine would not keep from changing something: refused before its driver."""

from __future__ import annotations

import pytest

from reconciler.clients import sql
from reconciler.clients.attempt import Login
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from tests.unit.clients.test_sql_lifeline import make_attempt


@pytest.mark.parametrize(
    ("engine", "query", "word", "title"),
    [
        ("oracle", "select numbers.--\nnextval from dual", "NEXTVAL", "Oracle Database"),
        ("firebird", "select next--\n value for n from t", "NEXT", "Firebird"),
        ("vertica", "select nextval('numbers')", "NEXTVAL", "Vertica"),
        ("snowflake", "select numbers.nextval", "NEXTVAL", "Snowflake"),
        ("mssql", "select 1 commit drop table item", "COMMIT", "SQL Server"),
    ],
)
def test_a_forbidden_word_is_refused_before_anything_is_loaded(
    engine: str, query: str, word: str, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "DRIVERS", {})
    login = Login(driver="", database="orders")
    for call in (
        lambda: sql.check(engine, login, query, make_attempt()),
        lambda: sql.read(engine, login, query, 1, make_attempt()),
    ):
        with pytest.raises(ConnectionFailed) as caught:
            call()
        failure = caught.value
        assert (failure.reason, failure.stage) == (Reason.QUERY_FAILED, StageName.QUERY)
        assert failure.message == f"the health query has the word {word}"
        assert failure.hint == (
            f"choose a `health.query` that only reads; {title} does not see to that by itself"
        )
