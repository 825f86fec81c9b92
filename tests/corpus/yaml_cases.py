"""Files that are no manifests: encodings, YAML that readers disagree about, bombs."""

from __future__ import annotations

from tests.corpus.cases import API, CANARY, Case, api, labelled, manifest, named

_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{here}: &{here} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, here in zip("abcdefgh", "bcdefghi", strict=True)
)
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
_CONFLICT = f"<<<<<<< HEAD\n{API}=======\n{API}>>>>>>> other\n"
_EMPTY = "E007]: the file holds no document"
_TOO_DEEP = "E009]: mappings and lists are nested more than 64 deep"
_TOO_LARGE = "E018]: the number does not fit into 64 bits"

CASES = (
    Case(row="B001", what="empty file", prepare=manifest(b""), says=_EMPTY),
    Case(row="B002", what="only comments", prepare=manifest("# nothing\n# here\n"), says=_EMPTY),
    Case(row="B002", what="only a marker", prepare=manifest("---\n"), says=_EMPTY),
    Case(
        row="B004",
        what="byte order mark inside",
        prepare=manifest(f"{API}---\n\ufeff{API}"),
        says="E004]: the file holds the character U+FEFF",
    ),
    Case(
        row="B005",
        what="CRLF line ends",
        prepare=manifest(API.replace("\n", "\r\n")),
        exit=0,
        says="1 file valid",
    ),
    Case(
        row="B007",
        what="Latin-1",
        prepare=manifest(b"caf\xe9"),
        says="E003]: byte offset 3 is not UTF-8",
    ),
    Case(
        row="B008",
        what="UTF-16",
        prepare=manifest(API.encode("utf-16")),
        says="E003]: the file is UTF-16 or UTF-32",
    ),
    Case(
        row="B010",
        what="NUL in a name",
        prepare=named(r'"a\0b"'),
        says="E004]: the text holds the character U+0000",
    ),
    Case(
        row="B011",
        what="lone surrogate",
        prepare=manifest(API.replace("{name: crm}", r'{name: crm, description: "\uD800"}')),
        says="E004]: the escape names half a surrogate pair",
    ),
    *(
        Case(
            row="B013",
            what=f"{way} right-to-left override",
            prepare=named(name),
            says="holds the character U+202E",
        )
        for way, name in (("raw", '"ab\u202ecd"'), ("escaped", r'"ab\u202Ecd"'))
    ),
    Case(
        row="B014",
        what="Cyrillic letter",
        prepare=named("\u0430bc"),
        says=r'E108]: `"\u0430bc"` is not a valid name',
    ),
    Case(
        row="B016",
        what="name that ends in a line end",
        prepare=named(r'"abc\n"'),
        says=r'E108]: `"abc\n"` is not a valid name',
    ),
    Case(row="B017", what="name of 254 letters", prepare=named("a" * 254), says="E108]: `aaaaa"),
    Case(
        row="B019",
        what="duplicate key",
        prepare=manifest("a: 1\na: 2\n"),
        says="E015]: the key `a` was already given at 1:1",
    ),
    Case(
        row="B020",
        what="duplicate key beside a merge",
        prepare=manifest(
            f"{API}  headers: &x {{A: b}}\n  timeout: {{<<: *x, connect: 1s, connect: 2s}}\n"
        ),
        says="E015]: the key `connect` was already given at 7:21",
    ),
    Case(
        row="B022",
        what="keys that YAML 1.1 reads as truth",
        prepare=api("on: {a: b}\n  yes: 1\n  no: 2"),
        says="E104]: unknown field `on`",
    ),
    *(
        Case(row="B023", what=f"{key} as a key", prepare=api(f"{key}: 1"), says="E016]: the key is")
        for key in ("null", "~", "1", "1.5", "true", "[a]", "{a: b}")
    ),
    Case(
        row="B025",
        what="Norway",
        prepare=labelled("country: NO"),
        exit=0,
        says="W012]: this is text here, but readers of YAML 1.1 take it for a boolean",
    ),
    Case(
        row="B026",
        what="version that is a number",
        prepare=manifest(API.replace("{name: crm}", "{name: crm, version: 1.10}")),
        says="E105]: `metadata.version` must be text",
    ),
    Case(
        row="B028",
        what="label that is a number",
        prepare=labelled("a: 0o17"),
        says="E105]: `metadata.labels.a` must be text",
    ),
    Case(
        row="B028",
        what="labels that YAML 1.1 reads as numbers",
        prepare=labelled("a: 0123, b: 1_000"),
        exit=0,
        says="W012]: this is text here, but readers of YAML 1.1 take it for a number",
    ),
    Case(
        row="B029",
        what="impossible date",
        prepare=api("expires: 2024-13-45"),
        says="E104]: unknown field `expires`",
    ),
    *(
        Case(
            row="B031",
            what=f"{number} as a number",
            prepare=api(f"health: {{suspendAfter: {number}}}"),
            says="E018]: infinity and not-a-number are not values",
        )
        for number in (".inf", "-.inf", ".nan")
    ),
    Case(
        row="B032",
        what="duration without a unit",
        prepare=api("timeout: {total: 1e3}"),
        says="E110]: `spec.timeout.total` is a duration and needs a unit",
    ),
    *(
        Case(
            row="B034",
            what=f"number of 100,000 {digits}",
            prepare=api(f"health: {{suspendAfter: {number}}}"),
            says=_TOO_LARGE,
        )
        for digits, number in (
            ("hexadecimal digits", "0x" + "f" * 100_000),
            ("octal digits", "0o" + "7" * 100_000),
            ("digits", "9" * 100_000),
            ("digits behind the point", "1." + "9" * 100_000 + "e999"),
        )
    ),
    Case(row="B035", what="label of 65 bits", prepare=labelled(f"a: {2**64}"), says=_TOO_LARGE),
    Case(
        row="B035",
        what="expected value of 65 bits",
        prepare=api(f"health: {{expect: {{json: {{/a: {2**64}}}}}}}"),
        says=_TOO_LARGE,
    ),
    *(
        Case(
            row="B037",
            what=f"tag {tag}",
            prepare=api(f"description: {tag} x"),
            says="E013]: tags are not allowed",
        )
        for tag in (
            *("!!binary", "!!set", "!!omap", "!!timestamp", "!Ref", "!<!>"),
            "!!python/object/apply:os.system",
        )
    ),
    Case(
        row="B038",
        what="alias bomb",
        prepare=manifest(_BOMB),
        says="E010]: the document has more than 10000 keys and values, aliases expanded",
    ),
    Case(
        row="B040",
        what="alias to its own parent",
        prepare=manifest("a: &a [*a]\n"),
        says="E011]: the alias stands inside the very node",
    ),
    Case(
        row="B041",
        what="alias to nothing",
        prepare=manifest("a: *nope\n"),
        says="E012]: no anchor of this name comes before the alias",
    ),
    Case(row="B043", what="100,000 brackets", prepare=manifest("[" * 100_000), says=_TOO_DEEP),
    Case(row="B044", what="1,500 mappings", prepare=manifest("{a: " * 1500), says=_TOO_DEEP),
    Case(
        row="B044",
        what="700 indents",
        prepare=manifest("".join(f"{' ' * depth}a:\n" for depth in range(700))),
        says=_TOO_DEEP,
    ),
    Case(
        row="B046",
        what="5 MiB",
        prepare=manifest("".join(f"key-{n}: value\n" for n in range(300_000))),
        says="E002]: the file is larger than 1 MiB",
    ),
    Case(
        row="B047",
        what="10,001 documents",
        prepare=manifest("---\na: b\n" * 10_001),
        argv=("validate", "-o", "concise", "--all"),
        says="E008 the file holds more than 1000 documents",
    ),
    *(
        Case(
            row="B049",
            what=f"{kind} at the top",
            prepare=manifest(text),
            says="E019]: the document is not a mapping",
        )
        for kind, text in (("list", "- a\n- b\n"), ("text", "hello\n"))
    ),
    Case(
        row="B050",
        what="syntax error beside a secret",
        prepare=manifest(f"password: {CANARY}: x\n"),
        says="E005]: a second `: ` stands where no key can be",
    ),
    Case(
        row="B052",
        what="content after the end",
        prepare=manifest(f"{API}...\nrest: of it\n"),
        says="E005]: something follows the end of a document",
    ),
    Case(
        row="B053",
        what="merge of a scalar",
        prepare=api("headers: {<<: 1}"),
        says="E017]: `<<` merges a mapping or a list of mappings",
    ),
    Case(
        row="B055",
        what="conflict markers",
        prepare=manifest(_CONFLICT),
        says="E006]: a conflict marker of git was left in the file",
    ),
    Case(
        row="B056",
        what="pointer of a large file",
        prepare=manifest(_POINTER),
        says="E019]: the file is a pointer of git-lfs",
    ),
)
