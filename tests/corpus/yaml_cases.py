"""Files that are no manifests: encodings, YAML that readers disagree about, bombs."""

from __future__ import annotations

from tests.corpus.cases import API, CANARY, Case, api, manifest, named

_BOMB = (
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{here}: &{here} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, here in zip("abcdefgh", "bcdefghi", strict=True)
    )
)

CASES = (
    Case(row="B001", what="empty file", prepare=manifest(b""), says="E"),
    Case(row="B002", what="only comments", prepare=manifest("# nothing\n# here\n"), says="E"),
    Case(row="B002", what="only a marker", prepare=manifest("---\n"), says="E"),
    Case(
        row="B004",
        what="byte order mark inside",
        prepare=manifest(f"{API}---\n\ufeff{API}"),
        says="E",
    ),
    Case(
        row="B005",
        what="CRLF line ends",
        prepare=manifest(API.replace("\n", "\r\n")),
        exit=0,
        says="1 file valid",
    ),
    Case(row="B007", what="Latin-1", prepare=manifest(b"caf\xe9"), says="E"),
    Case(row="B008", what="UTF-16", prepare=manifest(API.encode("utf-16")), says="E"),
    Case(row="B010", what="NUL in a name", prepare=named(r'"a\0b"'), says="E"),
    Case(
        row="B011",
        what="lone surrogate",
        prepare=manifest(API.replace("{name: crm}", r'{name: crm, description: "\uD800"}')),
        says="E",
    ),
    Case(row="B013", what="right-to-left override", prepare=named('"ab\u202ecd"'), says="E"),
    Case(row="B013", what="escaped right-to-left override", prepare=named(r'"ab\u202Ecd"'), says="E"),
    Case(row="B014", what="Cyrillic letter", prepare=named("\u0430bc"), says="E"),
    Case(row="B016", what="name that ends in a line end", prepare=named(r'"abc\n"'), says="E"),
    Case(row="B017", what="name of 254 characters", prepare=named("a" * 254), says="E"),
    Case(row="B019", what="duplicate key", prepare=manifest("a: 1\na: 2\n"), says="E"),
    Case(
        row="B020",
        what="duplicate key beside a merge",
        prepare=manifest(f"{API}  headers: &x {{A: b}}\n  timeout: {{<<: *x, connect: 1s, connect: 2s}}\n"),
        says="E",
    ),
    Case(row="B022", what="keys that YAML 1.1 reads as truth", prepare=api("on: {a: b}\n  yes: 1\n  no: 2"), says="E"),
    *(
        Case(row="B023", what=f"{key} as a key", prepare=api(f"{key}: 1"), says="E")
        for key in ("null", "~", "1", "1.5", "true", "[a]", "{a: b}")
    ),
    Case(
        row="B025",
        what="Norway",
        prepare=manifest(API.replace("{name: crm}", "{name: crm, labels: {country: NO}}")),
        exit=0,
        says="W",
    ),
    Case(
        row="B026",
        what="version that is a number",
        prepare=manifest(API.replace("{name: crm}", "{name: crm, version: 1.10}")),
        says="E",
    ),
    Case(
        row="B028",
        what="octal label",
        prepare=manifest(API.replace("{name: crm}", "{name: crm, labels: {a: 0o17}}")),
        says="E",
    ),
    Case(
        row="B028",
        what="labels that YAML 1.1 reads as numbers",
        prepare=manifest(API.replace("{name: crm}", "{name: crm, labels: {a: 0123, b: 1_000}}")),
        exit=0,
        says="W",
    ),
    Case(row="B029", what="impossible date", prepare=api("expires: 2024-13-45"), says="E"),
    *(
        Case(row="B031", what=f"{number} as a number", prepare=api(f"health: {{suspendAfter: {number}}}"), says="E")
        for number in (".inf", "-.inf", ".nan", "1e999")
    ),
    Case(row="B032", what="duration without a unit", prepare=api("timeout: {total: 1e3}"), says="E"),
    Case(
        row="B034",
        what="integer of 100,000 hexadecimal digits",
        prepare=manifest(f"{API}  health: {{suspendAfter: 0x{'f' * 100_000}}}\n"),
        says="E",
    ),
    Case(
        row="B034",
        what="integer of 100,000 digits",
        prepare=manifest(f"{API}  health: {{suspendAfter: {'9' * 100_000}}}\n"),
        says="E",
    ),
    Case(
        row="B035",
        what="label beyond 64 bits",
        prepare=manifest(API.replace("{name: crm}", f"{{name: crm, labels: {{a: {2**64}}}}}")),
        says="E",
    ),
    Case(
        row="B035",
        what="expected value beyond 64 bits",
        prepare=api(f"health: {{expect: {{json: {{/a: {2**64}}}}}}}"),
        exit=0,
        says="",
    ),
    *(
        Case(row="B037", what=f"tag {tag}", prepare=api(f"description: {tag} x"), says="E")
        for tag in ("!!binary", "!!set", "!!omap", "!!timestamp", "!!python/object/apply:os.system", "!Ref", "!<!>")
    ),
    Case(row="B038", what="alias bomb", prepare=manifest(_BOMB), says="E"),
    Case(row="B040", what="alias to its own parent", prepare=manifest("a: &a [*a]\n"), says="E"),
    Case(row="B041", what="alias to nothing", prepare=manifest("a: *nope\n"), says="E"),
    Case(row="B043", what="100,000 brackets", prepare=manifest("[" * 100_000), says="E"),
    Case(row="B044", what="1,500 mappings", prepare=manifest("{a: " * 1500), says="E"),
    Case(row="B044", what="3,000 indents", prepare=manifest("".join(f"{' ' * n}a:\n" for n in range(700))), says="E"),
    Case(
        row="B046",
        what="5 MiB",
        prepare=manifest("".join(f"key-{n}: value\n" for n in range(300_000))),
        says="E",
    ),
    Case(row="B047", what="10,001 documents", prepare=manifest("---\na: b\n" * 10_001), says="E"),
    Case(row="B049", what="list at the top", prepare=manifest("- a\n- b\n"), says="E"),
    Case(row="B049", what="text at the top", prepare=manifest("hello\n"), says="E"),
    Case(row="B050", what="syntax error beside a secret", prepare=manifest(f"password: {CANARY}: x\n"), says="E"),
    Case(row="B052", what="content after the end", prepare=manifest(f"{API}...\nrest: of it\n"), says="E"),
    Case(row="B053", what="merge of a scalar", prepare=api("headers: {<<: 1}"), says="E"),
    Case(
        row="B055",
        what="conflict markers",
        prepare=manifest(f"<<<<<<< HEAD\n{API}=======\n{API}>>>>>>> other\n"),
        says="E",
    ),
    Case(
        row="B056",
        what="pointer of a large file",
        prepare=manifest(
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
        ),
        says="E",
    ),
)
