"""`prebake cache`: what the local store holds, what goes and why, pins and keys; through the real command."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]
VERBS = ("stats", "ls", "prune", "pin", "unpin", "pins", "key")
DAY = 86_400


def said(result: CompletedProcess[str]) -> Any:
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return json.loads(result.stdout)


def age(store: Path, days: float) -> None:
    for path in (*store.glob("traces/*/*"), *store.glob("blobs/sha256/*")):
        then = path.stat().st_mtime - days * DAY
        os.utime(path, (then, then))


def tree(store: Path) -> dict[str, tuple[int, int, int]]:
    """Every file with inode, size and time; but for the lease database, which SQLite opens to read."""
    stats = {str(path.relative_to(store)): path.stat() for path in sorted(store.rglob("*")) if path.is_file()}
    return {
        name: (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        for name, stat in stats.items()
        if not name.startswith("leases.db")
    }


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_shows_examples(verb: str, prebake: Prebake) -> None:
    result = prebake("cache", verb, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"prebake cache {verb}" in result.stdout.partition("\nexamples:\n")[2]
    assert f"    {verb} " in prebake("cache", "--help").stdout


def test_help_is_quick_to_load(prebake: Prebake) -> None:
    result = prebake("cache", "prune", "--help", PYTHONPROFILEIMPORTTIME="1")
    heavy = ("sqlalchemy", "rattler", "prefect", "urllib3", "xxhash")
    assert not [name for name in heavy if f" {name}\n" in result.stderr]


def test_stats_count_each_byte_once(
    prebake: Prebake, definition: Definition, warm: Path, tmp_path: Path
) -> None:
    (tmp_path / "red.yml").write_text(definition(COLOUR="red"))
    assert prebake("build", "red.yml").returncode == 0
    local = said(prebake("cache", "stats", "--json"))["local"]
    sizes = [path.stat().st_size for path in (warm / "blobs/sha256").iterdir()]
    assert (local["blobs"], local["bytes"]) == (len(sizes), sum(sizes))
    assert (local["traces"]["image/2"], local["pins"]) == (2, [])
    images = local["images"]
    assert images["stored"] < images["nominal"] < 2 * images["stored"] + 20_000
    assert images["stored"] <= local["bytes"]
    rows = [line.split() for line in prebake("cache", "stats").stdout.splitlines()]
    assert ["image/2", "2", "traces"] in rows
    assert ["blobs", f"{len(sizes)},"] in [row[:2] for row in rows]


def test_ls_finds_by_package_key_and_recipe(prebake: Prebake, warm: Path) -> None:
    every = said(prebake("cache", "ls", "--json"))["traces"]
    assert len(every) == len(list(warm.glob("traces/*/*")))
    assert every == sorted(every, key=lambda trace: -trace["used"])
    conda = said(prebake("cache", "ls", "python-3*", "--recipe", "conda/1", "--json"))["traces"]
    assert [trace["recipe"] for trace in conda] == ["conda/1"]
    assert any(name.startswith("python-3.11") for name in conda[0]["contents"])
    by_key = prebake("cache", "ls", conda[0]["key"][:12]).stdout
    assert by_key.startswith(f"conda/1        {conda[0]['key']}  ")
    assert prebake("cache", "ls", "no-such-package").stdout == ""


def test_a_dry_run_changes_nothing_and_tells_what_the_run_tells(
    prebake: Prebake, definition: Definition, warm: Path, tmp_path: Path
) -> None:
    age(warm, 40)
    before = tree(warm)
    dry = prebake("cache", "prune", "--max-age", "30d", "--dry-run")
    assert tree(warm) == before
    assert dry.stderr.endswith("dry run: nothing was changed\n")
    real = prebake("cache", "prune", "--max-age", "30d")
    assert (dry.returncode, real.returncode, dry.stdout) == (0, 0, real.stdout)
    assert real.stdout.count("\nevict ") + 1 == sum(name.startswith("traces/") for name in before)
    assert "(not used for longer than the age limit)" in real.stdout
    assert real.stdout.endswith(" freed, 0.0 kB kept\n")
    assert not list((warm / "blobs/sha256").iterdir())
    (tmp_path / "env.yml").write_text(definition())
    built = json.loads(prebake("build", "env.yml", "--json").stdout)
    assert {layer["outcome"] for layer in built["layers"]} == {"built"}
    assert said(prebake("cache", "prune", "--max-age", "30d", "--max-size", "1B", "--json"))["blobs"] == []


def test_a_hit_keeps_the_whole_image_young(
    prebake: Prebake, definition: Definition, warm: Path, tmp_path: Path
) -> None:
    """A hit looks at two traces; its layers are reused when a package is added, a prune later."""
    age(warm, 40)
    (tmp_path / "env.yml").write_text(definition())
    assert prebake("build", "env.yml").returncode == 0
    pruned = said(prebake("cache", "prune", "--max-age", "30d", "--json"))
    recipes = {trace["recipe"] for trace in pruned["traces"]}
    assert not recipes & {"environment/1", "image/2", "conda/1", "pip/1", "base/1"}
    (tmp_path / "env.yml").write_text(definition(COLOUR="red"))
    built = json.loads(prebake("build", "env.yml", "--json").stdout)
    assert "built" not in {layer["outcome"] for layer in built["layers"]}


def test_a_pinned_image_outlives_a_prune(
    prebake: Prebake, definition: Definition, warm: Path, tmp_path: Path
) -> None:
    (tmp_path / "env.yml").write_text(definition())
    built = json.loads(prebake("build", "env.yml", "--json").stdout)
    pin = said(prebake("cache", "pin", "vision", built["digest"], "--json"))["pin"]
    assert (pin["name"], pin["digests"], pin["keys"]) == ("vision", [built["digest"]], [])
    assert abs(pin["since"] - time.time()) < 600
    assert prebake("cache", "pins").stdout == f"vision\t{built['digest']}\n"
    age(warm, 40)
    pruned = said(prebake("cache", "prune", "--max-size", "1kB", "--max-age", "1d", "--json"))
    kept = sum(path.stat().st_size for path in (warm / "blobs/sha256").iterdir())
    assert (pruned["kept"], pruned["excess"]) == (kept, kept - 1000)
    assert "over the limit" in prebake("cache", "prune", "--max-size", "1kB").stdout
    missing = [layer for layer in built["layers"] if not (warm / "blobs" / _path(layer["digest"])).exists()]
    assert missing == []
    assert prebake("cache", "unpin", "vision").stdout == "vision holds nothing any more\n"
    assert prebake("cache", "pins").stdout == "there are no pins\n"
    assert said(prebake("cache", "prune", "--max-size", "1kB", "--json"))["kept"] == 0


def _path(digest: str) -> str:
    return digest.replace(":", "/")


def test_a_remote_tier(world: Any, prebake: Prebake, definition: Definition, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(definition("six"))
    place = {"PREBAKE_WORKSPACE": f"{world.registry}/prune/cli"}
    assert prebake("build", "env.yml", **place).returncode == 0
    asked = ("cache", "prune", "--tier", "workspace", "--max-age", "0s", "--grace", "0s")
    dry = prebake(*asked, "--dry-run", **place)
    real = prebake(*asked, **place)
    assert (dry.returncode, real.returncode, dry.stdout) == (0, 0, real.stdout)
    assert "evict   conda/1 " in real.stdout
    assert said(prebake(*asked, "--json", **place))["traces"] == []


def test_a_key_is_made_once(prebake: Prebake, tmp_path: Path) -> None:
    made = said(prebake("cache", "key", "signing.pem", "--json"))
    assert made["public"].startswith("ed25519:")
    assert (tmp_path / "signing.pem").stat().st_mode & 0o777 == 0o600
    again = prebake("cache", "key", "signing.pem")
    assert (again.returncode, again.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("prune", "--max-age", "soon"), "`soon` is not an age"),
        (("prune", "--max-age", ""), "`` is not an age"),
        (("prune", "--grace=-1h"), "`-1h` is not an age"),
        (("prune", "--tier", "workspace"), "there is no workspace tier"),
        (("prune", "--max-size", "20"), "`20` is not a size"),
        (("prune", "--max-size", "20 GBit"), "`20 GBit` is not a size"),
        (("pin", "p", "numpy"), "`numpy` cannot be pinned"),
        (("pin", "p", "0" * 32), f"{'0' * 32} is not here"),
        (("pin", "../p", "0" * 32), "`../p` is no name for a pin"),
        (("unpin", "p"), "there is no pin `p`"),
    ],
)
def test_refused(arguments: tuple[str, ...], sentence: str, prebake: Prebake) -> None:
    text = prebake("cache", *arguments)
    assert (text.returncode, text.stdout) == (2, "")
    assert text.stderr.splitlines()[0].endswith(f"error: {sentence}")
    error = json.loads(prebake("cache", *arguments, "--json").stderr)
    assert (error["error"], error["type"]) == (sentence, "SettingsError")


@pytest.mark.parametrize("arguments", [(), ("frob",), ("pin", "p"), ("prune", "--frob")])
def test_usage(arguments: tuple[str, ...], prebake: Prebake) -> None:
    result = prebake("cache", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: prebake ")
