"""Any JSON that PyYAML writes is read back, and every mark is where its text is."""

from __future__ import annotations

import re

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.manifests import loader
from reconciler.manifests.findings import FORBIDDEN
from reconciler.model import Document, Json, MarkNode

#: Time is no criterion on a busy machine.
_patient = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
_TEXT = st.text(max_size=12).filter(lambda text: not re.search(FORBIDDEN, text))
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
)
_DATA = st.dictionaries(
    _TEXT,
    st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
        max_leaves=20,
    ),
    max_size=5,
)


class _Quoted(str):
    """A string that is written in double quotes."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Quotes strings, so that no reader takes them for something else; repeats, never aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _quoted(dumper: yaml.SafeDumper, text: _Quoted) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')


_Dumper.add_representer(_Quoted, _quoted)


def _quote(data: Json) -> Json:
    match data:
        case str():
            return _Quoted(data)
        case dict():
            return {_Quoted(key): _quote(value) for key, value in data.items()}
        case list():
            return [_quote(item) for item in data]
        case _:
            return data


def _begins(value: Json) -> str:
    """Returns the characters with which the text of a value may begin."""
    match value:
        case str():
            return '"'
        case dict():
            return '"?' if value else "{"
        case list():
            return "-" if value else "["
        case _:
            return "-0123456789.tfn"


def _check(lines: list[str], value: Json, node: MarkNode) -> None:
    line, column, inner = node
    assert lines[line - 1][column - 1] in _begins(value) + (
        "{[" if isinstance(value, dict | list) else ""
    )
    if isinstance(value, dict):
        assert isinstance(inner, dict)
        assert list(inner) == list(value)
        for key, (key_line, key_column, child) in inner.items():
            assert lines[key_line - 1][key_column - 1] == '"'
            _check(lines, value[key], child)
    elif isinstance(value, list):
        assert isinstance(inner, list)
        assert len(inner) == len(value)
        for item, child in zip(value, inner, strict=True):
            _check(lines, item, child)
    else:
        assert inner is None


@_patient
@given(_DATA, st.sampled_from([None, False, True]), st.booleans())
def test_what_is_written_is_read_back_with_its_positions(
    data: dict[str, Json], flow: bool | None, unicode: bool
) -> None:
    text = yaml.dump(
        _quote(data),
        Dumper=_Dumper,
        default_flow_style=flow,
        allow_unicode=unicode,
        sort_keys=False,
        width=10_000,
    )
    [document] = loader.load(text.encode(), "f.yaml")
    assert isinstance(document, Document)
    assert document.data == data
    _check(text.split("\n"), data, document.marks)


@_patient
@given(st.binary(max_size=60) | st.text(alphabet="a:-?[]{},&*!|>'\"%@#\\\n \t<0.é", max_size=40))
def test_any_bytes_come_to_an_end_within_the_file(data: bytes | str) -> None:
    content = data.encode() if isinstance(data, str) else data
    results = list(loader.load(content, "f.yaml"))
    assert results
    lines = content.count(b"\n") + content.count(b"\r") + 1
    for result in results:
        if not isinstance(result, Document):
            assert 1 <= result.location.line <= lines + 1
            assert result.location.column >= 1
