"""`new`: the method that an engine has is taken where none is named, and any other is refused.

And `doctor` asks for no library of an engine that has none.
"""

from __future__ import annotations

import pytest

from tests.e2e.command import Run


@pytest.mark.parametrize(
    ("args", "line"),
    [
        pytest.param(("--engine", "postgresql"), "method: password", id="the usual one"),
        pytest.param(("--engine", "databricks"), "method: accessToken", id="the engine's own"),
        pytest.param(("--engine", "bigquery"), "method: serviceAccount", id="another engine's"),
        pytest.param(("--engine", "snowflake", "--auth", "keyPair"), "method: keyPair", id="named"),
    ],
)
def test_a_new_manifest_has_a_login_of_its_engine_and_is_valid(
    run: Run, args: tuple[str, ...], line: str
) -> None:
    made = run("new", "SqlConnection", "lake", *args, "--out", "manifests/lake.yaml")
    assert (made.code, made.stdout) == (0, "")
    assert line in (run.folder / "manifests" / "lake.yaml").read_text()
    assert run("validate", "manifests").code == 0


def test_a_login_that_the_engine_has_not_is_refused(run: Run) -> None:
    ended = run("new", "SqlConnection", "lake", "--engine", "snowflake", "--auth", "password")
    assert (ended.code, ended.stdout) == (2, "")
    assert "Snowflake has no method `password`" in ended.stderr


def test_doctor_asks_for_no_library_of_an_http_api(run: Run) -> None:
    lines = run("doctor").stdout.splitlines()
    for engine in ("snowflake", "databricks", "bigquery"):
        (line,) = (line for line in lines if line.split()[1:2] == [engine])
        assert (line.split()[0], line.endswith("API, which needs no library")) == ("ok", True)
