"""Environments installed on this machine, and commands in them."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from prebake.builders.local import ensure_prefix, install_whole, run_local
from prebake.builders.lock import Lock, Target
from prebake.builders.plan import prefix_of
from prebake.builders.recipe import Recipe
from prebake.builders.world import World
from prebake.cache.directory import DirectoryStore
from prebake.cache.tiered import Tiers
from prebake.errors import PackageError, SettingsError

PLAIN = {"PATH": os.defpath}


@pytest.fixture(scope="module")
def lock(bench: Any) -> Lock:
    specs = ("python=3.11", "prefix-probe", "activate-demo", "small-demo")
    made: Lock = bench.lock(*specs, pip=("tabulate", "tqdm"))
    return made


@pytest.fixture(scope="module")
def prefix(lock: Lock, bench: Any) -> Path:
    return ensure_prefix(lock, bench.world)


def _output(prefix: Path, *command: str, env: dict[str, str] = PLAIN) -> str:
    script = "import sys; from pathlib import Path; from prebake.builders.local import run_local\n"
    script += f"sys.exit(run_local(Path({str(prefix)!r}), {list(command)!r}, {env!r}))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def _snapshot(folder: Path) -> dict[str, float]:
    return {str(path): path.lstat().st_mtime for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_conda_and_pip_packages_work(prefix: Path) -> None:
    shown = _output(prefix, "python", "-c", "import sys, tabulate, tqdm, small_demo; print(sys.prefix)")
    assert shown == f"{prefix}\n"
    assert _output(prefix, "prefix-probe") == f"{prefix}/share/probe\n"
    assert _output(prefix, "small-demo") == "small-demo 2.0\n"
    assert "usage" in _output(prefix, "tqdm", "--help").lower()


def test_activation_and_variables_reach_the_command(prefix: Path) -> None:
    script = 'echo "$DEMO_HOME" "$CONDA_PREFIX" "$OWN" "${PATH%%:*}"'
    shown = _output(prefix, "sh", "-c", script, env=PLAIN | {"OWN": "mine"})
    assert shown == f"{prefix}/share/demo {prefix} mine {prefix}/bin\n"


def test_the_second_call_does_nothing(prefix: Path, lock: Lock, bench: Any) -> None:
    before = _snapshot(bench.world.store.local.root / "prefixes")
    assert ensure_prefix(lock, bench.world) == prefix
    assert _snapshot(bench.world.store.local.root / "prefixes") == before
    assert not list(bench.world.store.local.tmp.iterdir())


def test_another_lock_is_another_prefix(prefix: Path, lock: Lock, bench: Any) -> None:
    other = ensure_prefix(replace(lock, pip=lock.pip[:1]), bench.world)
    assert other != prefix
    assert not list(other.glob("lib/python3.11/site-packages/tqdm"))


def test_all_who_install_at_once_get_the_same(bench: Any, fresh: World) -> None:
    lock = bench.lock("prefix-probe", "generic-demo", "six")
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: ensure_prefix(lock, fresh), range(4)))
    (prefix,) = found
    assert list(prefix.parent.iterdir()) == [prefix]
    assert not list(fresh.store.local.tmp.iterdir())
    assert _output(prefix, "prefix-probe") == f"{prefix}/share/probe\n"


def test_a_killed_installation_leaves_no_prefix(bench: Any, fresh: World, lock: Lock) -> None:
    """The store of an installer that is killed in the middle serves the next one."""
    (fresh.store.local.root / "lock").write_bytes(lock.to_bytes())
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from prebake.builders import local; from prebake.builders.lock import Lock\n"
        "from prebake.builders.world import World; from prebake.builders.sources import Sources\n"
        "from prebake.cache.directory import DirectoryStore\n"
        "from prebake.cache.tiered import Tiers\n"
        "local._install_wheel = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"store = DirectoryStore(Path({str(fresh.store.local.root)!r}))\n"
        f"world = World(Tiers(store), None, Sources(**{asdict(fresh.sources)!r}))\n"
        "local.ensure_prefix(Lock.from_bytes((store.root / 'lock').read_bytes()), world)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(fresh.store.local.tmp.iterdir())
    assert not (fresh.store.local.root / "prefixes").exists()
    assert _output(ensure_prefix(lock, fresh), "prefix-probe")


def test_a_whole_install_for_the_prefix_in_images(lock: Lock, bench: Any, tmp_path: Path) -> None:
    prefix = prefix_of(lock, Recipe())
    root = install_whole(lock, tmp_path, prefix, bench.world)
    assert root == tmp_path / "opt/prebake/env"
    assert (root / "bin/tqdm").read_text().startswith("#!/opt/prebake/env/bin/python\n")
    assert (root / "bin/prefix-probe.sh").read_text().endswith("echo /opt/prebake/env/share/probe\n")
    assert {path.name for path in root.glob("lib/python3.11/site-packages/*.dist-info")} >= {
        "tabulate-0.10.0.dist-info", "small_demo-2.0.dist-info"
    }  # fmt: skip


def test_an_environment_without_python(bench: Any) -> None:
    prefix = ensure_prefix(bench.lock("generic-demo", "prefix-probe"), bench.world)
    assert (prefix / "share/generic/x").exists()
    records = sorted(path.name.rpartition("-1.0-")[0] for path in prefix.glob("conda-meta/*.json"))
    assert records == ["generic-demo", "prefix-probe"]


def test_two_packages_that_disagree_on_a_file(bench: Any, fresh: World) -> None:
    with pytest.raises(PackageError, match="same file with different content"):
        ensure_prefix(bench.lock("clobber-a", "clobber-b"), fresh)
    assert not (fresh.store.local.root / "prefixes").exists()
    agreed = ensure_prefix(bench.lock("clobber-a", "clobber-c"), fresh)
    assert (agreed / "share/clobber/file").read_text() == "from a\n"
    assert not (agreed / "__clobbers__").exists()


def test_a_machine_of_another_kind(bench: Any) -> None:
    foreign = Lock(Target("linux-aarch64", "2.36"))
    with pytest.raises(SettingsError, match="another kind of machine") as caught:
        ensure_prefix(foreign, bench.world)
    assert caught.value.facts["allowed"] == "linux aarch64"


def test_a_store_whose_path_is_too_long(bench: Any, lock: Lock, tmp_path: Path) -> None:
    deep = Tiers(DirectoryStore(tmp_path / ("d" * 120) / ("e" * 120)))
    with pytest.raises(SettingsError, match="too long"):
        ensure_prefix(lock, replace(bench.world, store=deep))


def test_exit_codes(prefix: Path) -> None:
    assert run_local(prefix, ["sh", "-c", "exit 3"], PLAIN) == 3
    assert run_local(prefix, ["sh", "-c", "kill -9 $$"], PLAIN) == 128 + 9
    assert run_local(prefix, ["no-such-program"], PLAIN) == 127


def test_signals_are_passed_on_and_handlers_restored(prefix: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    pipe = tmp_path / "ready"
    os.mkfifo(pipe)

    def terminate() -> None:
        pipe.read_text()  # comes when the command has set its trap
        os.kill(os.getpid(), signal.SIGTERM)

    waiting = threading.Thread(target=terminate)
    waiting.start()
    script = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
    script += f"open({str(pipe)!r}, 'w').close(); signal.pause()"
    assert run_local(prefix, ["python", "-c", script], PLAIN) == 42
    waiting.join()
    assert signal.getsignal(signal.SIGTERM) is before
