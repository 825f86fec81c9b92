from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler import report
from reconciler.model import Diagnostic, Excerpt, Location, Severity
from reconciler.report import diagnostics, formats
from reconciler.report.diagnostics import Findings
from reconciler.report.style import Style

PLAIN = Style(width=None)


def at(line: int, column: int = 3, path: str = "manifests/orders.yaml") -> Location:
    return Location(path=path, line=line, column=column)


UNKNOWN = Diagnostic(
    severity=Severity.ERROR,
    code="E104",
    location=at(9),
    pointer="/spec/databse",
    message="unknown field `databse`",
    hint="a similar field exists: `database`",
    excerpt=Excerpt(text="  databse: ***", column=3, length=7),
)
DUPLICATE = Diagnostic(
    severity=Severity.ERROR,
    code="E201",
    location=at(104, 9),
    pointer="/metadata/name",
    message="two manifests are named SqlConnection/default/orders",
    related=((at(4, 9, "manifests/old.yaml"), "first declared here"),),
)
WARNING = Diagnostic(
    severity=Severity.WARNING,
    code="W012",
    location=at(7, 14, "manifests/fx.yaml"),
    pointer="/spec/x",
    message="YAML 1.1 and 1.2 read `no` differently",
)


def found(*findings: Diagnostic, **changes: object) -> Findings:
    return replace(Findings(diagnostics=findings, files=3), **changes)  # type: ignore[arg-type]  # changes of a test


def text(findings: Findings, style: Style = PLAIN) -> str:
    return diagnostics.text(findings, style)


def test_screen_shows_place_line_caret_and_help() -> None:
    assert text(found(UNKNOWN, DUPLICATE, WARNING)) == (
        "error[E104]: unknown field `databse`\n"
        "  --> manifests/orders.yaml:9:3\n"
        "   |\n"
        " 9 |   databse: ***\n"
        "   |   ^^^^^^^\n"
        "   = help: a similar field exists: `database`\n"
        "\n"
        "error[E201]: two manifests are named SqlConnection/default/orders\n"
        "    --> manifests/orders.yaml:104:9\n"
        "    ::: manifests/old.yaml:4:9  first declared here\n"
        "\n"
        "warning[W012]: YAML 1.1 and 1.2 read `no` differently\n"
        "  --> manifests/fx.yaml:7:14\n"
    )


def test_nothing_found_shows_nothing() -> None:
    assert text(found()) == ""


def test_colours_mark_severity_caret_and_help() -> None:
    assert text(found(UNKNOWN), Style(width=100, colour=True)) == (
        "\x1b[1;31merror[E104]\x1b[0m: \x1b[1munknown field `databse`\x1b[0m\n"
        "  \x1b[2m-->\x1b[0m manifests/orders.yaml:9:3\n"
        "   |\n"
        " 9 |   databse: ***\n"
        "   |   \x1b[1;31m^^^^^^^\x1b[0m\n"
        "   \x1b[36m= help:\x1b[0m a similar field exists: `database`\n"
    )


def test_paths_are_links_where_links_are_shown() -> None:
    linked = text(found(UNKNOWN, link_root="/srv/my project"))
    assert linked.splitlines()[1] == (
        "  --> \x1b]8;;file:///srv/my%20project/manifests/orders.yaml\x1b\\"
        "manifests/orders.yaml:9:3\x1b]8;;\x1b\\"
    )


def test_caret_stands_under_wide_characters() -> None:
    wide = replace(UNKNOWN, excerpt=Excerpt(text="  名前: ***", column=3, length=2))
    assert text(found(wide)).splitlines()[3:5] == [" 9 |   名前: ***", "   |   ^^^^"]


@pytest.mark.parametrize("line", [1, 12, 1234])
def test_bars_stand_in_one_column_whatever_the_line(line: int) -> None:
    shown = text(found(replace(UNKNOWN, location=at(line)))).splitlines()[2:5]
    assert {row.index("|") for row in shown} == {len(str(line)) + 2}


def test_long_line_moves_so_that_the_caret_is_seen() -> None:
    excerpt = Excerpt(text="x" * 60 + "databse: ***" + "y" * 60, column=61, length=7)
    assert text(found(replace(UNKNOWN, excerpt=excerpt)), Style(width=45)).splitlines()[3:5] == [
        " 9 | …xxxxxxxxxxxxxxxxxxxdatabse: ***yyyyyyy…",
        "   |                     ^^^^^^^",
    ]


def test_hostile_text_stays_on_its_line() -> None:
    hostile = replace(UNKNOWN, message="a\nb\x1b[2J", hint="c\rd", excerpt=None)
    assert text(found(hostile)) == (
        "error[E104]: a b\\x1b[2J\n  --> manifests/orders.yaml:9:3\n   = help: c\\rd\n"
    )


def test_rest_is_counted_beyond_the_limit() -> None:
    many = tuple(replace(UNKNOWN, location=at(line)) for line in range(1, 24))
    shown = text(found(*many))
    assert shown.count("error[E104]") == 20
    assert shown.endswith("\n\n3 more not shown: --all shows every one\n")


def test_errors_are_shown_before_warnings_beyond_the_limit() -> None:
    kept = found(WARNING, UNKNOWN, WARNING, DUPLICATE, limit=3).shown
    assert kept == (WARNING, UNKNOWN, DUPLICATE)


def test_all_are_shown_without_a_limit() -> None:
    many = tuple(replace(UNKNOWN, location=at(line)) for line in range(1, 24))
    assert text(found(*many, limit=None)).count("error[E104]") == 23


def test_concise_is_one_line_each() -> None:
    assert diagnostics.concise(found(UNKNOWN, WARNING), PLAIN) == (
        "manifests/orders.yaml:9:3: E104 unknown field `databse`\n"
        "manifests/fx.yaml:7:14: W012 YAML 1.1 and 1.2 read `no` differently\n"
    )


@pytest.mark.parametrize(
    ("findings", "line"),
    [
        pytest.param(found(), "ok  3 files valid (0.2 s)\n", id="nothing"),
        pytest.param(
            found(files=1, documents=2), "ok  2 manifests in 1 file valid (0.2 s)\n", id="several"
        ),
        pytest.param(
            found(files=3, documents=3), "ok  3 files valid (0.2 s)\n", id="one in each file"
        ),
        pytest.param(found(WARNING), "! 1 warning in 1 of 3 files (0.2 s)\n", id="warning"),
        pytest.param(
            found(UNKNOWN, DUPLICATE, WARNING),
            "x 2 errors, 1 warning in 2 of 3 files (0.2 s)\n",
            id="errors",
        ),
    ],
)
def test_summary_counts(findings: Findings, line: str) -> None:
    assert diagnostics.summary(findings, PLAIN, seconds=0.21) == line


def test_json_holds_everything() -> None:
    formatter = report.formatter(formats.DIAGNOSTICS, "json")
    assert json.loads(formatter(found(UNKNOWN, DUPLICATE, documents=4), PLAIN)) == {
        "formatVersion": 1,
        "files": 3,
        "documents": 4,
        "errors": 2,
        "warnings": 0,
        "diagnostics": [
            {
                "severity": "error",
                "code": "E104",
                "path": "manifests/orders.yaml",
                "line": 9,
                "column": 3,
                "pointer": "/spec/databse",
                "message": "unknown field `databse`",
                "hint": "a similar field exists: `database`",
                "excerpt": {"text": "  databse: ***", "column": 3, "length": 7},
                "related": [],
            },
            {
                "severity": "error",
                "code": "E201",
                "path": "manifests/orders.yaml",
                "line": 104,
                "column": 9,
                "pointer": "/metadata/name",
                "message": "two manifests are named SqlConnection/default/orders",
                "hint": "",
                "excerpt": None,
                "related": [
                    {
                        "path": "manifests/old.yaml",
                        "line": 4,
                        "column": 9,
                        "message": "first declared here",
                    }
                ],
            },
        ],
    }


def test_json_lines_are_one_object_each() -> None:
    formatter = report.formatter(formats.DIAGNOSTICS, "jsonl")
    lines = formatter(found(UNKNOWN, WARNING), PLAIN).splitlines()
    assert [(json.loads(x)["formatVersion"], json.loads(x)["code"]) for x in lines] == [
        (1, "E104"),
        (1, "W012"),
    ]


def test_github_gets_a_command_per_finding() -> None:
    formatter = report.formatter(formats.DIAGNOSTICS, "github")
    assert formatter(found(UNKNOWN, WARNING), PLAIN) == (
        "::error file=manifests/orders.yaml,line=9,col=3,endColumn=10,title=E104"
        "::unknown field `databse`%0Aa similar field exists: `database`\n"
        "::warning file=manifests/fx.yaml,line=7,col=14,title=W012"
        "::YAML 1.1 and 1.2 read `no` differently\n"
    )


def test_github_command_cannot_be_forged() -> None:
    formatter = report.formatter(formats.DIAGNOSTICS, "github")
    hostile = replace(
        WARNING, location=at(1, 1, "a,b:c\n::error::x"), message="100%\n::error::forged\r"
    )
    assert formatter(found(hostile), PLAIN) == (
        "::warning file=a%2Cb%3Ac%0A%3A%3Aerror%3A%3Ax,line=1,col=1,title=W012"
        "::100%25%0A::error::forged\\r\n"
    )


def test_github_annotation_of_standard_input_names_no_file() -> None:
    formatter = report.formatter(formats.DIAGNOSTICS, "github")
    finding = replace(WARNING, location=at(1, 1, "-"))
    assert formatter(found(finding), PLAIN).startswith("::warning line=1,col=1,title=W012::")
