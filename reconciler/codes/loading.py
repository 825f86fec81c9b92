"""Codes of the loader, E0xx and W012: the file itself, before anybody looks at its fields.

Their rules are those of a strict YAML 1.2 core reader with limits, so that a manifest means the
same to every reader and no file can exhaust the machine.
"""

from __future__ import annotations

from reconciler.codes.entry import Code, api

LOADING = {
    "E001": Code(
        title="file or folder cannot be read",
        text=(
            "The operating system refused to open a file or to list a folder below a path that "
            "was given. It is an error and not a skip, because a manifest that silently went "
            "missing would look like a connection that somebody removed. Give this user the right "
            "to read it, or leave the path out of the command."
        ),
    ),
    "E002": Code(
        title="file too large",
        text=(
            "A manifest file may have at most 1 MiB, and is not parsed at all beyond that. One "
            "connection needs about a kilobyte; split the file, or check whether it is a "
            "manifest."
        ),
    ),
    "E003": Code(
        title="file is not UTF-8",
        text=(
            "Manifests are UTF-8, with or without a byte order mark. The message names the first "
            "byte that is not. Convert the file, for example with `iconv -f latin1 -t utf-8`."
        ),
    ),
    "E004": Code(
        title="forbidden character",
        text=(
            "Control characters, lone surrogates and characters that reverse the writing "
            "direction are refused in keys and values, also when written as an escape. Databases "
            "and terminals reject them or obey them, and a reviewer does not see them. Delete the "
            "character at the place that is named."
        ),
        failing=api('baseUrl: "https://crm.example.com/\\u202e"'),
        fixed=api("baseUrl: https://crm.example.com/"),
    ),
    "E005": Code(
        title="YAML syntax",
        text=(
            "The file is not YAML. The position is where the parser gave up, which is often one "
            "line below the mistake: look for a missing quote, a missing space after a colon, a "
            "tab, or an indentation that does not fit. The line itself is not shown, since it may "
            "hold a secret."
        ),
        failing=api("baseUrl: https://crm.example.com: 443"),
        fixed=api("baseUrl: https://crm.example.com:443"),
    ),
    "E006": Code(
        title="merge conflict marker",
        text=(
            "A line begins with `<<<<<<<`, `=======` or `>>>>>>>`: a merge was committed before "
            "it was resolved. Choose one side and delete the markers."
        ),
        failing=(
            "apiVersion: reconciler/v1\nkind: ApiConnection\nmetadata: {name: crm}\nspec:\n"
            "<<<<<<< HEAD\n  baseUrl: https://crm.example.com\n=======\n"
            "  baseUrl: https://crm2.example.com\n>>>>>>> topic\n"
        ),
        fixed=api("baseUrl: https://crm2.example.com"),
    ),
    "E007": Code(
        title="empty file",
        text=(
            "The file holds no document, only white space or comments. An empty file is refused "
            "since it may be the remains of a failed write. Delete it, or write a manifest: "
            "`reconciler new` prints one."
        ),
        failing="# nothing here yet\n",
        fixed=api("baseUrl: https://crm.example.com"),
    ),
    "E008": Code(
        title="too many documents",
        text="A file may hold at most 1000 documents, separated by `---`. Split it.",
    ),
    "E009": Code(
        title="nested too deeply",
        text=(
            "Mappings and lists may be nested at most 64 levels deep; no manifest needs more than "
            "six. Usually brackets are missing their end."
        ),
        failing="[" * 70 + "]" * 70 + "\n",
        fixed=api("baseUrl: https://crm.example.com"),
    ),
    "E010": Code(
        title="too many values or anchors",
        text=(
            "A document may hold at most 10 000 values, counted after aliases are followed, and "
            "100 anchors. A few lines of aliases to aliases could otherwise stand for billions of "
            "values. Write the values out, or split the document."
        ),
        failing=(
            "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
            "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
            "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d]\n"
        ),
        fixed=api("baseUrl: https://crm.example.com"),
    ),
    "E011": Code(
        title="alias inside its own anchor",
        text=(
            "An alias stands inside the value that its anchor names, so the value would contain "
            "itself and never end. Write the value out."
        ),
        failing=api("baseUrl: https://crm.example.com\nheaders: &h {Accept: *h}"),
        fixed=api("baseUrl: https://crm.example.com\nheaders: {Accept: application/json}"),
    ),
    "E012": Code(
        title="undefined alias",
        text=(
            "An alias `*name` has no anchor `&name` before it in the same document. Anchors do "
            "not reach over `---`. A value that begins with an asterisk needs quotes."
        ),
        failing=api("baseUrl: *url"),
        fixed=api("baseUrl: https://crm.example.com"),
    ),
    "E013": Code(
        title="tag",
        text=(
            "YAML tags such as `!!binary` or `!Ref` are refused: manifests hold only what JSON "
            "holds, and tags make some readers run code. Quote the value if it is to be text."
        ),
        failing=api("baseUrl: !env CRM_URL"),
        fixed=api("baseUrl: https://crm.example.com"),
    ),
    "E014": Code(
        title="YAML directive",
        text=(
            "`%YAML` and `%TAG` lines change how the rest of the file is read, so they are "
            "refused. Delete the line: manifests are always read as YAML 1.2."
        ),
        failing="%YAML 1.1\n---\n" + api("baseUrl: https://crm.example.com"),
        fixed=api("baseUrl: https://crm.example.com"),
    ),
    "E015": Code(
        title="duplicate key",
        text=(
            "A mapping has the same key twice. Most readers silently keep the last one, so that "
            "what is reviewed is not what runs. Delete one of the two; the first is named."
        ),
        failing=api("baseUrl: https://crm.example.com\nbaseUrl: https://crm2.example.com"),
        fixed=api("baseUrl: https://crm2.example.com"),
    ),
    "E016": Code(
        title="key is not a string",
        text=(
            "A key reads as a number, a truth value, null, a list or a mapping. Field names are "
            "strings: put it in quotes if it is meant as text."
        ),
        failing=api("baseUrl: https://crm.example.com", metadata="{name: crm, labels: {1: one}}"),
        fixed=api("baseUrl: https://crm.example.com", metadata='{name: crm, labels: {"1": one}}'),
    ),
    "E017": Code(
        title="merge of something that is not a mapping",
        text=(
            "The merge key `<<` takes an alias of a mapping, or a list of such aliases, and "
            "stands at most once in a mapping. Keys that are written out win over merged ones."
        ),
        failing=api("<<: crm\nbaseUrl: https://crm.example.com"),
        fixed=api("baseUrl: https://crm.example.com"),
    ),
    "E018": Code(
        title="number out of range",
        text=(
            "Whole numbers must fit in 64 bits, and numbers must be finite: `.inf` and `.nan` are "
            "refused. Databases and other readers would round such a number or crash."
        ),
        failing=api("baseUrl: https://crm.example.com\nhealth: {suspendAfter: .inf}"),
        fixed=api("baseUrl: https://crm.example.com\nhealth: {suspendAfter: 5}"),
    ),
    "E019": Code(
        title="document is not a mapping",
        text=(
            "A manifest is a mapping with `apiVersion`, `kind`, `metadata` and `spec`; this "
            "document is a list or a single value. Separate several manifests by a line `---`. A "
            "Git LFS pointer means that the file was not fetched: run `git lfs pull`."
        ),
        failing="- "
        + api("baseUrl: https://crm.example.com").replace("\n", "\n  ").rstrip()
        + "\n",
        fixed=api("baseUrl: https://crm.example.com"),
    ),
    "E020": Code(
        title="link leaves the folder",
        text=(
            "A symbolic link points out of the folder that was given. It is not followed, and "
            "nothing of its target is shown: a pull request could otherwise read files of the "
            "machine that checks it. Copy the file, or give its real path on the command line."
        ),
    ),
    "E021": Code(
        title="file name with forbidden characters",
        text=(
            "A file name holds a control character or is not UTF-8. It could forge lines in a "
            "terminal or a log. Rename the file."
        ),
    ),
    "E022": Code(
        title="too many files",
        text=(
            "One run reads at most 10 000 files. Give the folder of the manifests rather than one "
            "above it, or run once per folder."
        ),
    ),
    "E023": Code(
        title="no manifest found",
        text=(
            "The paths that were given hold no manifest. It is an error, so that an unmounted "
            "volume or a wrong working directory never looks like a request to remove everything. "
            "Manifests are files that end in `.yaml` or `.yml`; hidden files and backups are "
            "ignored."
        ),
    ),
    "E024": Code(
        title="path does not exist",
        text=(
            "A path or pattern that was given matches nothing. Check it against the working "
            "directory."
        ),
    ),
    "E025": Code(
        title="not a regular file",
        text="A path names a device, a socket or a pipe. Use `-` to read standard input.",
    ),
    "E026": Code(
        title="file changed while it was read",
        text=(
            "A file that was listed was gone, twice, when it was opened. Something is writing to "
            "the folder; run again when it has finished. Nothing is removed because of it."
        ),
    ),
    "W012": Code(
        title="YAML 1.1 and YAML 1.2 read this differently",
        text=(
            "Manifests are read as YAML 1.2, where `no`, `22:22`, `0123` and `2024-02-03` are "
            "text and `1e3` and `0o17` are numbers. Readers of YAML 1.1, and many tools are, take "
            "the same characters for a truth value, a number, a date, or for text. Quote the "
            "value, or write it so that both agree."
        ),
        failing=api(
            "baseUrl: https://crm.example.com", metadata="{name: crm, labels: {country: no}}"
        ),
        fixed=api(
            "baseUrl: https://crm.example.com", metadata='{name: crm, labels: {country: "no"}}'
        ),
    ),
}
