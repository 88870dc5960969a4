"""Which fields of two keys' inputs differ, by path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in which two explanations differ, by path."""
    return {path: {"was": old, "is": new} for path, old, new in _differing("", was, now)}


def _differing(path: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted({*was, *now}):
            yield from _differing(f"{path}.{name}".lstrip("."), was.get(name), now.get(name))
    elif isinstance(was, list | tuple) and isinstance(now, list | tuple):
        gone = [item for item in was if item not in now]
        come = [item for item in now if item not in was]
        if gone or come or list(was) != list(now):
            yield path, gone or list(was), come or list(now)
    elif was != now:
        yield path, was, now
