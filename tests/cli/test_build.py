"""`prebake build` as scripts and people use it: what is reused, what travels, and where the image is then."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from world.faults import Proxy, proxy

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]
LAYER = {"step", "key", "digest", "diff_id", "size", "packages", "outcome", "seconds"}
SMALL = 20_000  # a config and what may come with it

pytestmark = pytest.mark.usefixtures("warm")


def skopeo(*arguments: str) -> Any:
    command = ["skopeo", "--insecure-policy", *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(output) if arguments[0] == "inspect" else output


@pytest.fixture
def build(prebake: Prebake, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Build an environment file of this text; what `--json` says."""

    def run(text: str, *arguments: str) -> dict[str, Any]:
        (tmp_path / "env.yml").write_text(text)
        result = prebake("build", "env.yml", "--json", *arguments)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.count("\n") == 1
        said: dict[str, Any] = json.loads(result.stdout)
        return said

    return run


def outcomes(said: dict[str, Any]) -> set[str]:
    return {layer["outcome"] for layer in said["layers"]}


def new(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [layer for layer in said["layers"] if layer["outcome"] == "built"]


@pytest.fixture
def to(world: Any, tmp_path: Path) -> str:
    name = "".join(letter for letter in tmp_path.name.lower() if letter.isalnum())
    return f"{world.registry}/cli/{name}:v1"


def test_json(build: Callable[..., dict[str, Any]], definition: Definition, to: str) -> None:
    text = definition("six", pip=("tabulate",))
    first = build(text, "--to", to)
    assert first.keys() == {"reference", "digest", "key", "seconds", "bytes_pushed", "layers"}
    assert all(layer.keys() == LAYER for layer in first["layers"])
    assert first["reference"] == f"{to}@{first['digest']}"
    assert outcomes(first) == {"built", "hit-local"}
    own = sum(layer["size"] for layer in first["layers"])
    assert own < first["bytes_pushed"] < own + SMALL  # the base's layers are mounted
    second = build(text, "--to", to)
    assert (outcomes(second), second["bytes_pushed"]) == ({"hit-local"}, 0)
    assert [second[name] for name in ("reference", "digest", "key")] == [
        first[name] for name in ("reference", "digest", "key")
    ]


def test_registry(
    build: Callable[..., dict[str, Any]], definition: Definition, to: str, tmp_path: Path
) -> None:
    said = build(definition("six", COLOUR="blue"), "--to", to)
    found = skopeo("inspect", "--tls-verify=false", f"docker://{to}")
    assert found["Digest"] == said["digest"]
    assert found["Layers"][1:] == [layer["digest"] for layer in said["layers"]]
    assert {"COLOUR=blue", "CONDA_PREFIX=/opt/prebake/env"} < set(found["Env"])
    skopeo("copy", "--src-tls-verify=false", f"docker://{to}", f"dir:{tmp_path}/copy")


def test_oci_folder(build: Callable[..., dict[str, Any]], definition: Definition, tmp_path: Path) -> None:
    said = build(definition("six"), "--to", "oci:out:v1")
    assert said["reference"] == f"oci:out:v1@{said['digest']}"
    assert skopeo("inspect", f"oci:{tmp_path}/out:v1")["Digest"] == said["digest"]
    skopeo("copy", f"oci:{tmp_path}/out:v1", f"dir:{tmp_path}/copy")
    again = build(definition("six"), "--to", "oci:out:v1")
    assert again["bytes_pushed"] == 0


def test_folder_and_registry_get_the_same_image(
    build: Callable[..., dict[str, Any]], definition: Definition, to: str
) -> None:
    told = [build(definition(), *place)["digest"] for place in ((), ("--to", "oci:out"), ("--to", to))]
    assert len(set(told)) == 1


def test_added_pip_package_costs_its_group(
    build: Callable[..., dict[str, Any]], definition: Definition, to: str
) -> None:
    build(definition(pip=("tabulate",)), "--to", to)
    said = build(definition(pip=("tabulate", "pyjokes")), "--to", to)
    (layer,) = new(said)
    assert layer["step"] == "pip"
    assert any(package.startswith("pyjokes ") for package in layer["packages"])
    assert layer["size"] < said["bytes_pushed"] < layer["size"] + SMALL


def uploads(front: Proxy) -> list[int]:
    """Sizes of the blobs that were sent."""
    puts = [seen for seen in front.seen if seen.method == "PUT" and "/blobs/uploads/" in seen.path]
    return [int(seen.headers["content-length"]) for seen in puts]


def test_variable_costs_a_config(
    build: Callable[..., dict[str, Any]], definition: Definition, world: Any, tmp_path: Path
) -> None:
    with proxy(world.registry) as front:
        image, to = f"{front.host}/debian:12", f"{front.host}/cli/variable:v1"
        build(definition(image=image), "--to", to)
        front.seen.clear()
        said = build(definition(image=image, COLOUR="blue"), "--to", to)
        assert (outcomes(said), uploads(front)) == ({"hit-local"}, [said["bytes_pushed"]])
        assert 0 < said["bytes_pushed"] < SMALL
        front.seen.clear()
        assert build(definition(image=image, COLOUR="blue"), "--to", to)["bytes_pushed"] == 0
        assert front.methods() == ["HEAD", "HEAD"]


def test_patched_base_costs_no_layer(
    build: Callable[..., dict[str, Any]], definition: Definition, world: Any, to: str
) -> None:
    old = build(definition(), "--to", to)
    said = build(definition(image=f"{world.base}-patched"), "--to", to)
    assert outcomes(said) == {"hit-local"}
    assert 0 < said["bytes_pushed"] < SMALL
    assert said["digest"] != old["digest"]
    assert said["layers"] == [layer | {"seconds": 0.0} for layer in old["layers"]]


@pytest.mark.parametrize(
    ("name", "text", "package"),
    [
        ("conda.yaml", "channels: [conda-forge]\ndependencies: [python=3.11, six]\n", "six "),
        ("requirements.txt", "tabulate==0.9.0\n", "tabulate 0.9.0"),
    ],
)
def test_bare_files(name: str, text: str, package: str, prebake: Prebake, tmp_path: Path, world: Any) -> None:
    (tmp_path / name).write_text(text)
    result = prebake("build", name, "--image", world.base, "--json")
    packages = [package for layer in json.loads(result.stdout)["layers"] for package in layer["packages"]]
    assert any(found.startswith(package) for found in packages)
    refused = prebake("build", name)
    assert refused.returncode == 2
    assert "hint: pass --image" in refused.stderr


def test_what_people_see(prebake: Prebake, definition: Definition, tmp_path: Path, world: Any) -> None:
    (tmp_path / "env.yml").write_text(definition("six") + "unknown: 1\n")
    first = prebake("build", "env.yml")
    assert first.returncode == 0
    assert "solving conda packages\n" in first.stderr
    assert [line for line in first.stderr.splitlines() if line.startswith("built ") and "six" in line]
    assert "warning: env.yml" in first.stderr
    assert "\x1b" not in first.stdout + first.stderr, "not a terminal"
    summary, reference = first.stdout.splitlines()
    assert " layers reused, 1 built, " in summary
    assert reference.startswith("store@sha256:")


def test_quiet_says_nothing_but_the_result(prebake: Prebake, definition: Definition, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(definition("six"))
    result = prebake("build", "env.yml", "-q")
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 2


def test_warning_of_a_script_that_was_not_run(
    prebake: Prebake, definition: Definition, tmp_path: Path
) -> None:
    (tmp_path / "env.yml").write_text(definition("postlink-demo"))
    result = prebake("build", "env.yml")
    assert result.returncode == 0
    assert "warning: postlink-demo 1.0: its post-link script was not run" in result.stderr


def test_locked_until_refreshed(
    build: Callable[..., dict[str, Any]], definition: Definition, prebake: Prebake, tmp_path: Path
) -> None:
    build(definition())
    nowhere = {"PREBAKE_MIRRORS": "https://conda.anaconda.org/conda-forge=http://127.0.0.1:1/channel"}
    locked = prebake("build", "env.yml", **nowhere)
    assert (locked.returncode, locked.stderr) == (0, ""), "a recorded solve asks nobody"
    refreshed = prebake("build", "env.yml", "--refresh")
    assert "solving conda packages" in refreshed.stderr
    assert " 0 built, 0.0 kB pushed" in refreshed.stdout
