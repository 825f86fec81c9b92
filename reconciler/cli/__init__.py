"""The command line: parses, calls, prints. Knows every part below and is known by none.

`main` runs a command and turns whatever ends it into an exit code, `frame` finds commands without
importing them, `output` is the gate that every byte passes; each other module holds commands.
"""
