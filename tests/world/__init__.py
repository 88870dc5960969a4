"""The sample world: a base image, a conda channel and a package index made from public Debian and PyPI parts.

`make.py` builds it, `services.py` serves it, `up.py` does both around a command.
"""
