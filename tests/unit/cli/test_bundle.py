from __future__ import annotations

import jsonschema
import pytest

from reconciler import kinds, schema
from reconciler.cli import bundle
from reconciler.model import Json

BUNDLE = bundle.bundle({name: kinds.schema(name) for name in kinds.KINDS})
API = {
    "apiVersion": "reconciler/v1",
    "kind": "ApiConnection",
    "metadata": {"name": "crm"},
    "spec": {"baseUrl": "https://api.example.com", "auth": {"method": "none"}},
}
SQL = {
    "apiVersion": "reconciler/v1",
    "kind": "SqlConnection",
    "metadata": {"name": "orders"},
    "spec": {"engine": "sqlite", "database": "orders.db"},
}


@pytest.mark.parametrize(
    ("manifest", "is_valid"),
    [
        pytest.param(API, True, id="api"),
        pytest.param(SQL, True, id="sql"),
        pytest.param({**API, "kind": "SqlConnection"}, False, id="spec of another kind"),
        pytest.param({**API, "kind": "Other"}, False, id="unknown kind"),
        pytest.param({**API, "spec": {}}, False, id="empty spec"),
    ],
)
def test_kind_decides_which_schema_holds(manifest: Json, is_valid: bool) -> None:
    assert jsonschema.Draft202012Validator(BUNDLE).is_valid(manifest) is is_valid
    assert jsonschema.Draft7Validator(schema.draft7(BUNDLE)).is_valid(manifest) is is_valid
