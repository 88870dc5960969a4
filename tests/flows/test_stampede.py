"""Fifty processes on two machines ask at once for overlapping environments: each layer is built once."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import prebake
from building import Job, finish
from conftest import SampleWorld
from tiny import PARTS, SETTINGS, tiny_file, tiny_machine
from world.postgres import postgres

PROCESSES, ENVIRONMENTS = 50, 20


def test_each_layer_is_built_once(tiny: SampleWorld, tmp_path: Path) -> None:
    dice = random.Random(50)
    files: list[Path] = []
    while len(files) < ENVIRONMENTS:
        file = tiny_file(tmp_path / "files", dice.sample(PARTS, dice.randint(2, 6)))
        files += [] if file in files else [file]
    asked = [files[number % ENVIRONMENTS] for number in range(PROCESSES)]
    dice.shuffle(asked)
    with postgres() as url:
        place = f"{tiny.registry}/{tmp_path.name}/cache"
        shared = SETTINGS | {"PREBAKE_WORKSPACE": place, "PREBAKE_LEASES": url}
        stores = [tmp_path / name for name in ("one", "other")]
        jobs = [
            Job(tiny, file, stores[number % 2], extra=tuple(shared.items()))
            for number, file in enumerate(asked)
        ]
        with ThreadPoolExecutor(PROCESSES) as pool:
            results = list(pool.map(finish, [job.start() for job in jobs]))
    layers = [layer for result in results for layer in result.data["layers"]]
    built = Counter(layer["key"] for layer in layers if layer["outcome"] == "built")
    assert built == Counter({layer["key"]: 1 for layer in layers})
    assert {layer["outcome"] for layer in layers} > {"built", "hit-workspace"}
    for file in files:
        alone = prebake.ensure(
            prebake.load(file, image=tiny.base), workspace=tiny_machine(tiny, tmp_path / "alone" / file.stem)
        )
        digests = {result.digest for result, its in zip(results, asked, strict=True) if its == file}
        assert digests == {str(alone.image.digest)}
