"""The record of a conda package in a layer is plain indented JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from prebake.builders.conda_meta import normal_meta
from prebake.builders.lock import CondaPackage
from prebake.cache.digest import Digest

PACKAGE = CondaPackage("a", "1", "0", 0, "noarch", "https://c/a.conda", "https://c", Digest.of(b""))
SCALARS = st.none() | st.booleans() | st.integers() | st.text()
ITEMS = st.builds(lambda more, path: more | {"_path": path}, st.dictionaries(st.text(), SCALARS), st.text())
# An index may hold anything, also what looks like a place that is filled in.
INDEX = st.dictionaries(st.sampled_from(["name", "files", "paths_data", '\n  "files": null']), SCALARS)


@settings(deadline=None)
@given(items=st.lists(ITEMS, max_size=4), index=INDEX)
def test_it_is_what_json_dumps_writes(items: list[dict[str, Any]], index: dict[str, Any]) -> None:
    text = normal_meta(PACKAGE, {"paths_data": {"paths": items}}, index | {"deep": index}).decode()
    data = json.loads(text)
    assert text == json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    without = [{name: value for name, value in item.items() if name != "original_path"} for item in items]
    assert sorted(map(repr, data["paths_data"]["paths"])) == sorted(
        repr(dict(sorted(item.items()))) for item in without
    )
    assert data["files"] == [item["_path"] for item in data["paths_data"]["paths"]]
