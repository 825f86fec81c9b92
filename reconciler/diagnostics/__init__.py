"""What turns a mistake in a manifest into a `Diagnostic` that a person can act on.

`validate` finds out *that* a document is wrong; these modules say what, where and what to do. They
are apart because a folder without mistakes never imports them: `schema_errors` explains what the
schema refuses, `clashes` compares names between documents, `excerpts` writes the line anew and
`wording` chooses the words. Pure, directly below `validate`.
"""
