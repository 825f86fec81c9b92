"""What `make run` shows: the product's own command line on sample connections served on loopback.

`servers`, `databases` and `warehouse` are what the manifests connect to, `world` is all of it and
what goes wrong with it, `project` is the folder in which the command runs, `__main__` is the show:
its steps as data, and the few lines that perform them. Where a server has to be a real one, it is
that of the tests (`tests.servers`). None of it is in the wheel, and none of it imports
`reconciler`: like any user, it runs the command.
"""
