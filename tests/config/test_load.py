"""What is read from each kind of file, in tables."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from prebake.config.definition import BuildContext, CondaSpec, Environment, InferenceConfig, Route
from prebake.config.load import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[dict[str, str | bytes]], Path]

BASE = "ubuntu:24.04"


def conda(write: Write, dependencies: str, head: str = "channels: [conda-forge]") -> CondaSpec:
    spec = load(
        write({"conda.yaml": f"{head}\ndependencies:\n{dependencies}\n"}), image=BASE
    ).definition.conda
    assert spec is not None
    return spec


def pip(write: Write, lines: str) -> tuple[str, ...]:
    spec = load(write({"requirements.txt": lines}), image=BASE).definition.conda
    assert spec is not None
    return spec.pip


def test_azure_environment_with_every_field(write: Write) -> None:
    path = write(
        {
            "env/environment.yml": """\
$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json
name: vision
version: 1.10
description: what it is for
tags: {Python: 3.10, Preview: "", GPU: }
image: mcr.microsoft.com/azureml/openmpi:latest
conda_file: ../conda.yml
os_type: Linux
environment_variables: {DEBUG: yes, PORT: 8080}
inference_config:
  liveness_route: {path: /live, port: 1}
  readiness_route: {path: /ready, port: 2}
  scoring_route: {path: /score, port: 65535}
datastore: azureml:store
properties: {a: b}
id: x
creation_context: {}
latest_version: 3
""",
            "conda.yml": "channels: [conda-forge]\ndependencies: [python=3.12]\n",
        }
    )
    environment = load(path)
    definition = environment.definition
    assert environment.title == "vision:1.10"
    assert environment.kind == "system-managed"
    assert environment.tags == (("Python", "3.10"), ("Preview", ""), ("GPU", ""))
    assert definition.image == "mcr.microsoft.com/azureml/openmpi:latest"
    assert definition.conda == CondaSpec(("conda-forge",), ("python=3.12",))
    assert definition.environment_variables == (("DEBUG", "yes"), ("PORT", "8080"))
    assert definition.inference_config == InferenceConfig(
        Route("/live", 1), Route("/ready", 2), Route("/score", 65535)
    )
    assert definition.os_type == "linux"
    assert environment.warnings == ()
    assert environment.lines["python=3.12"] == (path.parent / "../conda.yml", 2)
    assert environment.lines["image"] == (path, 6)


def test_inline_conda_file(write: Write) -> None:
    path = write(
        {"e.yml": "image: a\nconda_file:\n  name: null\n  channels: [x]\n  dependencies: [python]\n"}
    )
    assert load(path).definition.conda == CondaSpec(("x",), ("python",))


def test_build_context(write: Write) -> None:
    path = write({"e.yml": "build: {path: ctx, dockerfile_path: d/D}\n", "ctx/d/D": "FROM a\n"})
    environment = load(path)
    assert environment.definition.build == BuildContext(path.parent / "ctx", "d/D")
    assert environment.kind == "user-managed"


def test_environment_within_a_job(write: Write) -> None:
    path = write(
        {
            "job.yml": "name: job\ncommand: run ${{inputs.x}}\nenvironment:\n"
            "  name: mine\n  image: a\n  conda_file: ./c.yml\n",
            "c.yml": "channels: [c]\ndependencies: [python]\n",
        }
    )
    environment = load(path)
    assert environment.title == "(anonymous)"
    assert environment.definition.conda == CondaSpec(("c",), ("python",))
    assert environment.warnings == (f"{path}:4: `name` of an inline environment is ignored",)


@pytest.mark.parametrize("name", ["conda.yaml", "environment.yml"])
def test_an_image_from_outside_replaces_the_files_own(write: Write, name: str) -> None:
    bare = write({name: "channels: [c]\ndependencies: [python]\n"})
    assert load(bare, image=BASE).definition.image == BASE
    own = write({name: "image: a\n"})
    assert load(own, image=BASE).definition.image == BASE


def test_requirements_imply_python_and_not_pip(write: Write) -> None:
    environment = load(write({"requirements.txt": "numpy\n"}), image=BASE)
    assert environment.definition.conda == CondaSpec((), ("python",), ("numpy",))
    assert environment.warnings == (f"{environment.source}: names no python, `python` is added",)


def test_merge_keys_and_anchors(write: Write) -> None:
    path = write({"e.yml": "tags: &t {a: 1, b: 2}\nimage: a\nenvironment_variables: {<<: *t, b: 3}\n"})
    assert dict(load(path).definition.environment_variables) == {"a": "1", "b": "3"}


def test_variables_of_a_conda_file(write: Write) -> None:
    assert conda(write, "- python", "variables: {A: 1}").variables == (("A", "1"),)


@pytest.mark.parametrize(
    "spec",
    [
        "numpy",
        "numpy=1.26",
        "numpy==1.26.4",
        "numpy = 1.26",
        "numpy >=1,<2",
        "numpy >= 1, < 2",
        "numpy~=1.5.3",
        "numpy!=1.5",
        "numpy 1.26.*",
        "numpy=1.26=py312h_0",
        "numpy 1.26 py312h_0",
        "libarchive>=3.8 lgpl_*",
        "conda-forge::numpy",
        "conda-forge/linux-64::numpy>=2",
        "https://host/channel::numpy",
        "blas[build=mkl]",
        "numpy[version='>=1']",
        "numpy>=1|<0.5",
        "python>=3.8,<3.9|>3.10",
        "__glibc>=2.17",
        "_libgcc_mutex=0.1",
        "7zip",
        "x=1!2.0+local",
    ],
)
def test_match_specs_of_every_form(write: Write, spec: str) -> None:
    assert conda(write, f"- python\n- {spec!r}  ").specs == ("python", spec)


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ("- gcc  # [linux]", True),
        ("- gcc  # [linux64]", True),
        ("- gcc  # [win]", False),
        ("- gcc  # [not win]", True),
        ("- gcc  # [osx or arm64]", False),
        ("- gcc  # [linux and not aarch64] why", True),
        ("- gcc  # [ticket 7]", True),
        ("- 'gcc'  # [osx]", False),
        ("- sel(linux): gcc", True),
        ("- sel(unix): gcc", True),
        ("- sel(win): gcc", False),
    ],
)
def test_selectors(write: Write, entry: str, kept: bool) -> None:
    assert ("gcc" in conda(write, f"- python\n{entry}").specs) is kept
    assert ("gcc" in conda(write, f"- python\n- pip:\n  {entry}").pip) is kept


@pytest.mark.parametrize("empty", ["", " null", " []"])
def test_an_empty_pip_list(write: Write, empty: str) -> None:
    assert conda(write, f"- python\n- pip:{empty}") == CondaSpec(("conda-forge",), ("python",))


@pytest.mark.parametrize(
    ("head", "channels", "warning"),
    [
        ("", (), "1: no channels, the settings' are taken"),
        ("channels: [nodefaults]", (), "1: no channels, the settings' are taken"),
        ("channels: [b, defaults, b, nodefaults]", ("b", "defaults"), None),
        (
            "channels: [https://host/x]\nprefix: /opt",
            ("https://host/x",),
            "2: `prefix` is ignored, images have their own",
        ),
        (
            "channels: [c]\nplatforms: [osx-64]",
            ("c",),
            "2: `platforms` lacks linux-64, which is what is built",
        ),
        ("channels: [c]\nchanels: 1", ("c",), "2: key `chanels` is ignored, did you mean `channels`?"),
    ],
)
def test_channels_and_warnings(
    write: Write, head: str, channels: tuple[str, ...], warning: str | None
) -> None:
    path = write({"conda.yaml": f"{head}\ndependencies: [python]\n".lstrip()})
    environment = load(path, image=BASE)
    assert environment.definition.conda == CondaSpec(channels, ("python",))
    assert environment.warnings == ((f"{path}:{warning}",) if warning else ())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("numpy >= 1.2 , <2  # why\n\n# nothing\n", ("numpy >= 1.2 , <2",)),
        ("--extra-index-url=https://host/simple\nx", ("--extra-index-url=https://host/simple", "x")),
        ("./t/wheels/x.whl", ("./t/wheels/x.whl",)),
        ("-i https://host:8080/simple", ("-i https://host:8080/simple",)),
        ("-f ./wheels\n--pre\n-e .\n./x.whl", ("-f ./wheels", "--pre", "-e .", "./x.whl")),
        ("x==1 \\\n  --hash=sha256:aa \\\n  --hash=sha256:bb", ("x==1 --hash=sha256:aa --hash=sha256:bb",)),
        ("x[a,b]~=1.0 ; python_version < '3.12'", ("x[a,b]~=1.0 ; python_version < '3.12'",)),
        ("x @ https://host/x.whl", ("x @ https://host/x.whl",)),
        ("git+https://host/x.git@v1#egg=x", ("git+https://host/x.git@v1#egg=x",)),
        ("git+ssh://git@host/x.git", ("git+ssh://git@host/x.git",)),
        ("flit-core === 3.9.0 --hash=sha256:1234", ("flit-core === 3.9.0 --hash=sha256:1234",)),
    ],
)
def test_pip_lines_of_every_form(write: Write, text: str, lines: tuple[str, ...]) -> None:
    assert pip(write, text) == lines


def test_included_files_are_spliced_relative_to_the_including_one(write: Write) -> None:
    path = write(
        {
            "conda.yaml": "channels: [c]\ndependencies: [python, {pip: [first, -r sub/a.txt, last]}]\n",
            "sub/a.txt": "--requirement=b.txt\n-c c.txt\n",
            "sub/b.txt": "b\n",
            "sub/c.txt": "c<2\nd<3\n",
        }
    )
    environment = load(path, image=BASE)
    assert environment.definition.conda is not None
    assert environment.definition.conda.pip == ("first", "b", "-c c<2", "-c d<3", "last")
    assert environment.lines["-c d<3"] == (path.parent / "sub/c.txt", 2)


@pytest.mark.parametrize("name", ["AzureML-x", "microsoft-x", "n" * 256])
def test_names_that_cannot_be_registered_are_warned_of(write: Write, name: str) -> None:
    assert len(load(write({"e.yml": f"name: {name}\nimage: a\n"})).warnings) == 1


def test_unknown_keys_are_warned_of_at_every_depth(write: Write) -> None:
    path = write(
        {
            "e.yml": "image: a\nconda-file: x\ninference_config:\n"
            + "".join(
                f"  {route}: {{path: /, port: 1, prot: 2}}\n"
                for route in ("liveness_route", "readiness_route", "scoring_route")
            )
        }
    )
    assert load(path).warnings == (
        f"{path}:2: key `conda-file` is ignored, did you mean `conda_file`?",
        *(f"{path}:{line}: key `prot` is ignored, did you mean `port`?" for line in (4, 5, 6)),
    )


def test_a_template_in_a_comment_is_no_template(write: Write) -> None:
    assert load(write({"e.yml": "# {{x}}\nimage: a  # {{y}}\n"})).definition.image == "a"


def test_a_byte_order_mark_is_no_content(write: Write) -> None:
    assert load(write({"e.yml": b"\xef\xbb\xbfimage: a\n"})).definition.image == "a"


def test_loading_stays_cheap(write: Write) -> None:
    """The hit path reads a definition each time: 5 ms, and nothing heavy imported."""
    code = "import sys, prebake.config.load; print(*{m.partition('.')[0] for m in sys.modules})"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    assert not {"packaging", "pydantic", "rattler", "prefect"} & set(printed.split())
    lines = "".join(f"  - package-{number}=1.{number}\n" for number in range(50))
    path = write({"conda.yaml": f"channels: [c]\ndependencies:\n  - python\n{lines}"})
    assert min(_seconds(path) for _ in range(20)) < 0.005


def _seconds(path: Path) -> float:
    start = time.perf_counter()
    assert isinstance(load(path, image=BASE), Environment)
    return time.perf_counter() - start
