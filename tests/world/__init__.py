"""The sample world: a base image, a conda channel and a package index, of public Debian and PyPI parts.

`make.py` builds it, `services.py` serves it, `up.py` does both around a command.
"""

EPOCH = 1_700_000_000  # every time in the sample world
