"""README says what the program does: its tables are compared with the program's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler import operator_file
from reconciler.cli import exit_codes
from reconciler.cli.table import ROWS
from reconciler.secret_sources import SECRET_SOURCES
from reconciler.settings import OperatorSecrets
from tests import checking, support_table

README = Path("README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[tuple[str, ...]]:
    """Returns the cells of the first table after `heading`, without its head."""
    lines = README[README.index(heading) :].splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("| ---")) + 1 :]
    end = next((i for i, line in enumerate(table) if not line.startswith("|")), len(table))
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table[:end]]


def test_exit_codes_are_those_of_the_program() -> None:
    said = {int(code): meaning for code, meaning in rows("## Exit codes")}
    assert said == exit_codes.MEANINGS


def test_order_of_exit_codes_is_that_of_the_program() -> None:
    order = ", ".join(str(code) for code in exit_codes.MEANINGS)
    assert f"the first of {order}." in README


def test_engines_are_those_of_the_catalogue() -> None:
    assert support_table.between_marks(README) == support_table.table()


def test_secret_sources_are_those_of_the_table() -> None:
    said = {cells[0].split(":")[0].strip("`{") for cells in rows("| source |")}
    assert said == {*SECRET_SOURCES, "store"}  # the store is handed in ready


def test_references_in_it_are_in_the_form_of_their_source() -> None:
    for cells in rows("| source |"):
        spec = (
            f"spec: {{baseUrl: https://a, auth: {{method: bearer, token: {cells[0].strip('`')}}}}}"
        )
        text = f"apiVersion: reconciler/v1\nkind: ApiConnection\nmetadata: {{name: a}}\n{spec}"
        assert checking.concise(checking.check(text).diagnostics) == ""


def test_operator_file_in_it_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "operator.toml"
    file.write_text(block)
    file.chmod(0o600)
    said = operator_file.read(str(file))
    granted = said.secrets
    fields = {field: getattr(granted, field) for field in OperatorSecrets.__dataclass_fields__}
    assert all(fields.values()), fields
    assert said.grants
    assert said.network.is_restricted
    assert said.network.allow
    assert said.network.deny


def test_manifests_in_it_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert checking.concise(checking.check("---\n".join(blocks)).diagnostics) == ""


@pytest.mark.parametrize("command", [name for name, row in ROWS.items() if row.section])
def test_command_occurs(command: str) -> None:
    assert re.search(rf"[`\s]{command}\b", README)
