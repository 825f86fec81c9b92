"""What `make run` shows: the product's own command line on sample connections served on loopback.

`servers` and `databases` are what the manifests connect to, `project` is the folder in which the
command runs, `__main__` is the show: its steps as data, and the few lines that perform them. None
of it is in the wheel, and none of it imports `reconciler`: like any user, it runs the command.
"""
