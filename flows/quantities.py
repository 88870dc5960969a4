"""Ages and sizes as people write them.

>>> seconds("90m"), byte_count("20GB"), byte_count("1.5 GiB")
(5400.0, 20000000000, 1610612736)
"""

from __future__ import annotations

import re

from ..errors import SettingsError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DECIMAL = {f"{prefix}b": 1000**power for power, prefix in enumerate(("", "k", "m", "g", "t"))}
_BYTES = _DECIMAL | {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)")


def seconds(text: str) -> float:
    """Read an age like `30d`. Raises SettingsError."""
    return _read(text, _SECONDS, "an age", "a number with s, m, h, d or w, for instance 30d")


def byte_count(text: str) -> int:
    """Read a size like `20GB`. Raises SettingsError."""
    return int(_read(text, _BYTES, "a size", "a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB"))


def _read(text: str, units: dict[str, int], what: str, allowed: str) -> float:
    found = _QUANTITY.fullmatch(text.strip())
    unit = units.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise SettingsError(f"`{text}` is not {what}", facts={"allowed": allowed})
    return float(found[1]) * unit
