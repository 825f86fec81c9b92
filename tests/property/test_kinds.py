"""What holds for every manifest: one verdict, and a normal form that is stable and true."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from reconciler import kinds
from reconciler.model import Json, canonical
from tests import strategies
from tests.verdicts import model, verdicts

#: Drawing whole manifests is slow on a loaded machine, and says nothing about the code.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(strategies.manifests)
@unhurried
def test_a_manifest_built_from_the_rules_is_valid_for_every_reader(
    manifest: strategies.Manifest,
) -> None:
    assert verdicts(manifest) == {True}


@given(strategies.mutated_manifests())
@unhurried
def test_a_mistake_is_one_for_every_reader_or_for_none(manifest: strategies.Manifest) -> None:
    assert len(verdicts(manifest)) == 1


@given(strategies.manifests)
@unhurried
def test_the_normal_form_is_valid_and_its_own_normal_form(manifest: strategies.Manifest) -> None:
    shape = kinds.shape(manifest["kind"])
    before = canonical(manifest)
    normal = shape.normalise(manifest)
    assert shape.normalise(normal) == normal
    assert verdicts(normal) == {True}
    assert canonical(manifest) == before


@given(strategies.manifests)
@unhurried
def test_what_was_written_without_defaults_says_it_all(manifest: strategies.Manifest) -> None:
    shape = kinds.shape(manifest["kind"])
    normal = shape.normalise(manifest)
    sparse = shape.sparse(normal)
    assert shape.normalise(sparse) == normal
    assert shape.sparse(shape.normalise(sparse)) == sparse


@given(strategies.manifests)
@unhurried
def test_the_normal_form_has_the_defaults_of_the_model(manifest: strategies.Manifest) -> None:
    kind, shape = manifest["kind"], kinds.shape(manifest["kind"])
    read = model(kind).model_validate(manifest).model_dump(mode="json", by_alias=True)
    filled = _without_null(read)
    assert shape.normalise(filled) == _without_null(shape.normalise(manifest))
    assert filled.keys() == manifest.keys()


def _without_null(data: Json) -> Json:
    """Returns `data` without nulls: expected JSON values may be null, which a dump leaves out."""
    if isinstance(data, dict):
        return {key: _without_null(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_without_null(item) for item in data]
    return data
