"""What a check shows of what a server says of its query."""

from __future__ import annotations

import pytest

from reconciler.clients import sql_words

QUERY = """select "Total", t.absent, [old name], `odd` from nothing t -- comment
where note = 'literal ''quoted' and $tag$ dollar $tag$ = /* hidden */ 1"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('relation "nothing" does not exist', "no such table: nothing"),
        ("column t.absent does not exist", "no such column"),
        ('column "total" does not exist', "no such column: Total"),
        ("no such table: nothing", "no such table: nothing"),
        ("no such column: t.absent", "no such column: t.absent"),
        ("Table 'shop.nothing' doesn't exist", "no such table: nothing"),
        ("Unknown column 't.absent' in 'field list'", "no such column: t.absent"),
        ('Table with name nothing does not exist!\nDid you mean "item"?', "no such table: nothing"),
        ("Object 'NOTHING' does not exist or not authorized", "no such table: nothing"),
        ('table or view "ADMIN"."NOTHING" does not exist', "no such table: nothing"),
        ("Table unknown; NOTHING; At line 1", "no such table: nothing"),
        ("permission denied for table nothing", "nothing"),
        ("function `odd` does not exist", "no such function: odd"),
        ('syntax error at or near "from"', "syntax error: from"),
        ('invalid input syntax for type integer: "open row 1"', "a value cannot be converted"),
        ("XPATH syntax error: '~open row 1'", "syntax error"),
        ("Could not convert string 'secret' to INT32", "a value cannot be converted"),
        ("division by zero", "division by zero"),
        ("ERROR: literal 'literal' and \"dollar\" and \"hidden\" and 'comment'", ""),
        ("throwIf: open row 1", ""),
        ("'t' `odd` \"absent\" 'nothing'", "t, odd, absent"),
        ("", ""),
    ],
)
def test_only_the_kind_and_names_of_the_query_are_shown(text: str, shown: str) -> None:
    assert sql_words.about(text, QUERY) == shown
