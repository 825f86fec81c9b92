"""How fast the program is: ratios, each measured in one run against a floor right beside it.

`python -m benchmarks` prints one table; `--quick` takes a tenth of everything, `--peers` installs
check-jsonschema from PyPI into a throw-away environment and compares with it too. Absolute times
depend on the machine and on its neighbours, ratios hardly do, so the goals are ratios where they
can be. Nothing here is a test: a test that measures time fails on a busy machine.
"""
