"""Jars for Spark in an image: each as it came, and a `spark-defaults.conf` that tells Spark of them.

`spark.jars` puts jars behind Spark's own on the class paths of driver and executors; `local:` says that each
machine has them already, since each runs this image (https://spark.apache.org/docs/latest/configuration.html
and submitting-applications.html, "Advanced Dependency Management"). `extraClassPath` would put them in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..config.definition import SparkSpec
    from .entry import Entry
    from .lock import Jar, SparkLock

ROOT = "/opt/prebake/spark"
CONF_DIR = f"{ROOT}/conf"
CONF = "spark-defaults.conf"
CENTRAL = "https://repo1.maven.org/maven2"


def repositories_of(spec: SparkSpec) -> tuple[str, ...]:
    """Where jars are looked for: where the definition says, then on Maven Central."""
    return tuple(dict.fromkeys((*spec.repositories, CENTRAL)))


def defaults_conf(lock: SparkLock) -> str:
    """The text of `spark-defaults.conf`."""
    jars = ",".join(sorted(f"local:{ROOT}/jars/{jar.file_name}" for jar in lock.jars))
    given = {
        "spark.jars": jars,
        "spark.jars.packages": ",".join(lock.packages),
        "spark.jars.repositories": ",".join(lock.repositories),
    }
    return "".join(f"{name} {value}\n" for name, value in given.items() if value)


def jar_entries(jars: Iterable[Jar], archives: Iterable[Path]) -> list[Entry]:
    """The jars where the configuration says."""
    from .entry import Entry

    pairs = zip(jars, archives, strict=True)
    return [
        Entry(f"{ROOT.lstrip('/')}/jars/{jar.file_name}", archive, archive.stat().st_size, owner=jar.name)
        for jar, archive in pairs
    ]


def conf_entry(text: str) -> Entry:
    """The configuration."""
    from .entry import Entry

    data = text.encode()
    return Entry(f"{CONF_DIR.lstrip('/')}/{CONF}", data, len(data), owner=CONF)
