"""The settings by which prebake takes its packages from the served sample world."""

from __future__ import annotations


def sources(url: str) -> dict[str, str]:
    """`url` is the server's: its channel stands in for conda-forge, its index for PyPI."""
    return {
        "PREBAKE_MIRRORS": f"https://conda.anaconda.org/conda-forge={url}/channel",
        "PREBAKE_PIP_INDEX": f"{url}/index/simple",
    }
