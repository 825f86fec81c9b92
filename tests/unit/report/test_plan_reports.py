"""What golden files cannot show: empty plans, floods, limits, and text that attacks a format."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from reconciler.model import Action, Change, FieldChange, FieldOp, SecretChange
from reconciler.report import plan, plan_github, plan_markdown, views
from reconciler.report.style import Style
from tests.factories import NOW, make_ref, make_uid
from tests.unit.report.samples import ARCHIVE, CREATE, UPDATE, make_plan


def _view(*changes: Change) -> views.PlanView:
    return views.PlanView(plan=make_plan(*changes), secrets_compared=True, now=NOW)


def _updates(number: int, *, fields: int = 3, old: str = "x" * 50) -> list[Change]:
    return [
        Change(
            action=Action.UPDATE,
            ref=make_ref(f"c{index:05d}"),
            uid=make_uid(index),
            reason="the manifest changed",
            fields=tuple(
                FieldChange(op=FieldOp.REPLACE, pointer=f"/spec/f{field}", old=old, new="y")
                for field in range(fields)
            ),
        )
        for index in range(number)
    ]


def test_empty_plan_says_that_there_is_nothing_to_do() -> None:
    assert plan.text(_view(), Style()) == (
        "Plan 64879f7d6b96  stack prod\n\nNothing to do: 210 connections unchanged\n"
    )


def test_empty_plan_is_no_concise_line() -> None:
    assert plan.concise(_view(), Style()) == ""


def test_empty_plan_is_a_short_comment() -> None:
    assert plan_markdown.markdown(_view(), Style()) == (
        "<!-- reconciler plan prod -->\n"
        "### reconciler plan: 210 unchanged (stack `prod`)\n"
        "\n"
        "Nothing to do.\n"
        "\n"
        "Plan `64879f7d6b96`.\n"
    )


def test_empty_plan_is_one_annotation() -> None:
    assert plan_github.github(_view(), Style()) == (
        "::notice title=reconciler plan::210 unchanged\n"
    )


def test_plan_without_secrets_says_so() -> None:
    view = replace(_view(), secrets_compared=False)
    assert "no secret was read; `--secrets` compares them\n" in plan.text(view, Style())
    assert "No secret was read." in plan_markdown.markdown(view, Style())


def test_reason_that_a_change_shows_by_what_it_is_stays_out_of_the_text() -> None:
    assert plan.text(_view(CREATE), Style()) == (
        "Plan 64879f7d6b96  stack prod\n"
        "\n"
        "  + create   SqlConnection/hr/billing-replica"
        "                              manifests/billing.yaml:31\n"
        "      connects to postgresql://report@db-7.internal:5432/orders\n"
        "\n"
        "1 create, 210 unchanged\n"
    )


def test_reason_that_tells_more_stays() -> None:
    created = replace(CREATE, reason="the kind differs from `ApiConnection/hr/billing-replica`")
    assert (
        "\n"
        "      the kind differs from `ApiConnection/hr/billing-replica`\n"
        "      connects to postgresql://report@db-7.internal:5432/orders\n"
    ) in plan.text(_view(created), Style())


def test_secret_of_a_renamed_connection_stands_with_its_change() -> None:
    renamed = replace(UPDATE, action=Action.RENAME, previous=make_ref("before"), fields=())
    secret = SecretChange(uid=make_uid(1), ref=make_ref("before"), pointers=("/auth/password",))
    view = replace(_view(renamed), secrets=(secret,))
    assert "\n      ~ auth.password  secret changed\n" in plan.text(view, Style())
    assert "~ secret" not in plan.text(view, Style())


@pytest.mark.parametrize("number", [1, 50, 200, 500, 5000])
def test_comment_stays_within_its_limit(number: int) -> None:
    text = plan_markdown.markdown(_view(*_updates(number)), Style())
    assert len(text) <= plan_markdown.LIMIT
    assert text.startswith("<!-- reconciler plan prod -->\n### reconciler plan: ")
    assert text.endswith("Plan `64879f7d6b96`.\n")


def test_comment_drops_details_before_rows() -> None:
    text = plan_markdown.markdown(_view(*_updates(300, fields=10)), Style())
    assert text.count("| `~` update |") == 300
    assert re.search(r"\nFields of [0-9]+ changes left out\.\n", text)


def test_comment_counts_the_rows_that_it_drops() -> None:
    text = plan_markdown.markdown(_view(*_updates(5000)), Style())
    shown = text.count("| `~` update |")
    assert f"\n{5000 - shown} rows left out.\n" in text
    assert "\nFields are left out: the plan is too long for a comment.\n" in text


def test_flood_of_changes_cannot_push_a_removal_out_of_the_comment() -> None:
    removal = replace(ARCHIVE, ref=make_ref("zzz"), blocked_by="")
    text = plan_markdown.markdown(_view(*_updates(5000), removal), Style())
    assert "| `-` archive | `SqlConnection/hr/zzz` |" in text


def test_flood_of_alerts_is_counted() -> None:
    blocked = [replace(change, blocked_by="no") for change in _updates(30)]
    text = plan_markdown.markdown(_view(*blocked), Style())
    assert text.count("> - **BLOCKED**") == 20
    assert "> - and 10 more\n" in text


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param("``` </details> @everyone", id="fence"),
        pytest.param("`" * 5000, id="backticks"),
        pytest.param("a|b\\|c", id="bars"),
        pytest.param("<img src=x> [x](http://x) #1", id="markup"),
    ],
)
def test_comment_obeys_nothing_of_a_foreign_text(hostile: str) -> None:
    field = FieldChange(op=FieldOp.REPLACE, pointer=f"/{hostile}", old=hostile, new=hostile)
    change = replace(UPDATE, fields=(field,), reason=hostile, rebind=hostile)
    text = plan_markdown.markdown(_view(change), Style())
    outside = re.sub(r"(?s)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert not re.search(r"@everyone|<img|\[x\]|a\|b", outside)
    assert outside.count("</details>") == 1
    row = next(line for line in text.splitlines() if line.startswith("| `~` update"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


def test_annotations_stay_within_what_github_shows() -> None:
    removals = [replace(ARCHIVE, ref=make_ref(f"r{index}")) for index in range(30)]
    lines = plan_github.github(_view(*_updates(30), *removals), Style()).splitlines()
    assert sum(line.startswith("::warning ") for line in lines) == 10
    assert sum(line.startswith("::notice ") for line in lines) == 10
    assert lines[-1] == (
        "::notice title=reconciler plan::30 update, 30 archive, 210 unchanged; "
        "41 annotations left out"
    )


def test_annotation_cannot_be_ended_by_foreign_text() -> None:
    change = replace(UPDATE, reason="a\n::error::b%0Ac", rebind="", fields=())
    assert plan_github.github(_view(change), Style()).splitlines()[0] == (
        "::notice file=manifests/orders.yaml,line=1,title=update SqlConnection/hr/orders::"
        "a ::error::b%250Ac"
    )


def test_change_without_a_word_has_an_empty_cell() -> None:
    change = replace(UPDATE, fields=(), reason="", rebind="")
    text = plan_markdown.markdown(_view(change), Style())
    assert "| `~` update | `SqlConnection/hr/orders` |  |\n" in text
