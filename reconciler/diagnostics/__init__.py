"""What turns a mistake in a manifest into a `Diagnostic` that a person can act on.

`validate` finds out *that* a document is wrong; these modules say what, where and what to do.
`schema_errors` asks which rules of the schema were broken and drops mere consequences, `rules`,
`names` and `references` say what a broken rule means, `trails` reads annotations of the schema,
`clashes` compares names between documents, `excerpts` writes the line anew and `wording` chooses
the words. Apart from `validate`, which must stay fast for folders without mistakes: the libraries
that explain are imported only when something is wrong. Pure, directly below `validate`.
"""
