"""Inputs that get past the first check: pieces of real ones put together wrongly.

Random bytes alone are refused for being no text. These begin with a sound input, in which pieces
are replaced by tokens that parsers stumble over, by random bytes, and by pieces of other inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

_TOKENS = (
    b"\0", b"\n", b"\r", b"\t", b" ", b"\x1b[31m", b"\x85", b"\xff", b"\xc3\x28", b"\xef\xbb\xbf",
    b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xe3\x80\x82", b"\xf4\x8f\xbf\xbf",
    b"---\n", b"...\n", b"&a ", b"*a", b"<<: ", b"!!python/object:x ", b"%YAML 1.1\n", b"? ",
    b"[" * 70, b"{" * 70, b"- " * 70, b"a." * 70, b": ", b"'", b'"', b"\\", b"#", b"=", b"|\n",
    b"0o17", b"1e999", b".nan", b"9" * 400, b"-0", b"env: PATH", b"file: ../x", b"../" * 9, b"null",
    b"http://", b"[::1]", b"[", b"]", b":99999", b"?", b"//", b"@", b"xn--", b"%2e%2e%2f", b"true",
)  # fmt: skip


@st.composite
def spliced(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Draws one of `seeds` with pieces replaced by tokens, random bytes and pieces of others."""
    data = draw(st.sampled_from(seeds))
    piece = st.sampled_from(_TOKENS) | st.binary(max_size=8) | st.sampled_from(seeds)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 20))
        data = (
            data[:start]
            + draw(piece) * draw(st.sampled_from([1, 1, 1, 50]))
            + data[start + length :]
        )
    return data


def texts(seeds: Sequence[str]) -> st.SearchStrategy[str]:
    """Returns text of any kind, and `seeds` spoiled; bytes that are no UTF-8 are surrogates."""
    encoded = [seed.encode() for seed in seeds]
    return st.text() | spliced(encoded).map(lambda data: data.decode(errors="surrogateescape"))
