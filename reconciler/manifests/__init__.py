"""Stage 1: manifests in files become `Document` values with a position for every key and value.

`find` lists files and `read` opens them, without ever leaving the folders that were given; `loader`
is pure and turns bytes into documents and diagnostics; `git` says which commit they belong to. They
are apart so that the loader can be tested, fuzzed and measured without a file system.
"""
