"""Commands that build nothing: plan, lock, explain, schema, verify, and help."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import jsonschema
import pytest
import yaml

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]
COMMANDS = ("build", "plan", "lock", "explain", "verify", "run", "task", "schema", "cache")
DEMO = Path(__file__).parents[1] / "world/demo.yml"


@pytest.mark.usefixtures("warm")
def test_plan(prebake: Prebake, definition: Definition, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(definition("six", pip=("tabulate",)))
    said = json.loads(prebake("plan", "env.yml", "--json").stdout)
    assert said.keys() == {"base", "key", "layers"}
    fields = {"step", "key", "outcome", "why", "size", "packages"}
    assert all(layer.keys() == fields for layer in said["layers"])
    missing = [layer for layer in said["layers"] if layer["outcome"] == "miss"]
    assert {layer["step"] for layer in missing} == {"conda", "pip"}
    assert {layer["why"] for layer in missing} == {"local: never built here"}
    table = prebake("plan", "env.yml").stdout
    assert f"key       {said['key']}\n" in table
    total = len(said["layers"])
    assert table.endswith(f"{total - len(missing)} of {total} layers are there\n")
    built = json.loads(prebake("build", "env.yml", "--json").stdout)
    assert [layer["key"] for layer in built["layers"]] == [layer["key"] for layer in said["layers"]]
    assert built["key"] == said["key"]


@pytest.mark.usefixtures("warm")
def test_lock_is_one_that_conda_lock_renders(
    prebake: Prebake, definition: Definition, tmp_path: Path
) -> None:
    (tmp_path / "env.yml").write_text(definition("six"))
    printed = prebake("lock", "env.yml")
    assert prebake("lock", "env.yml", "-o", "conda-lock.yml").stdout == ""
    assert (tmp_path / "conda-lock.yml").read_text() == printed.stdout
    assert json.loads(prebake("lock", "env.yml", "--json").stdout) == {"lock": printed.stdout}
    conda_lock = Path(sys.executable).with_name("conda-lock")
    command = [conda_lock, "render", "-k", "explicit", "-p", "linux-64", "conda-lock.yml"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    rendered = (tmp_path / "conda-linux-64.lock").read_text()
    locked = [each["url"] for each in yaml.safe_load(printed.stdout)["package"]]
    assert all(url in rendered for url in locked)
    assert any("/six-" in url for url in locked)


@pytest.mark.usefixtures("warm")
def test_explain(prebake: Prebake, definition: Definition, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(definition(pip=("tabulate",), COLOUR="blue"))
    said = json.loads(prebake("explain", "env.yml").stdout)
    assert said.keys() == {"image", "solves", "layers"}
    assert said["image"]["made of"]["inputs"]["config"]["env"] == {"COLOUR": "blue"}
    assert said["solves"].keys() == {"conda", "pip"}
    planned = json.loads(prebake("plan", "env.yml", "--json").stdout)
    assert {layer["key"] for layer in said["layers"].values()} == {each["key"] for each in planned["layers"]}


@pytest.mark.usefixtures("warm")
def test_explain_against_names_the_field(prebake: Prebake, definition: Definition, tmp_path: Path) -> None:
    (tmp_path / "old.yml").write_text(definition(COLOUR="blue"))
    (tmp_path / "new.yml").write_text(definition(COLOUR="red"))
    said = json.loads(prebake("explain", "new.yml", "--against", "old.yml").stdout)
    field = "image.made of.inputs.config.env.COLOUR"
    assert said[field] == {"was": "blue", "is": "red"}
    assert said.keys() == {field, "image.key"}
    (tmp_path / "same.yml").write_text("name: other\n" + definition(COLOUR="red"))
    assert prebake("explain", "new.yml", "--against", "same.yml").stdout == "{}\n"


def test_schema_describes_the_demo(prebake: Prebake) -> None:
    result = prebake("schema")
    schema = json.loads(result.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    demo = yaml.safe_load(DEMO.read_text())
    jsonschema.validate(demo, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(demo | {"image": 3}, schema)


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_shows_examples(verb: str, prebake: Prebake) -> None:
    result = prebake(verb, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    _, _, examples = result.stdout.partition("\nexamples:\n")
    assert f"prebake {verb}" in examples


def test_help_lists_the_commands(prebake: Prebake) -> None:
    result = prebake("--help")
    assert result.returncode == 0
    assert all(f"    {verb} " in result.stdout for verb in COMMANDS)
    assert prebake("--version").stdout.startswith("prebake 0")


def test_help_is_quick_to_load(prebake: Prebake) -> None:
    """Nothing heavy is imported before a command runs."""
    result = prebake("--help", PYTHONPROFILEIMPORTTIME="1")
    assert not [name for name in ("rattler", "prefect", "urllib3", "docker") if f" {name}\n" in result.stderr]


@pytest.mark.usefixtures("warm")
def test_verify(prebake: Prebake, definition: Definition, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(definition())
    said = json.loads(prebake("build", "env.yml", "--json", "--to", "oci:out:v1").stdout)
    good = prebake("verify", "oci:out:v1")
    assert (good.returncode, good.stderr) == (0, "verifying oci:out:v1\n")
    blob = said["layers"][-1]["digest"]
    path = tmp_path / "out/blobs/sha256" / blob.removeprefix("sha256:")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    bad = prebake("verify", "oci:out:v1")
    assert (bad.returncode, bad.stderr) == (1, "verifying oci:out:v1\n")
    assert blob in bad.stdout
    assert blob in json.dumps(json.loads(prebake("verify", "oci:out:v1", "--json").stdout))
    path.unlink()
    gone = prebake("verify", "oci:out:v1")
    assert gone.returncode == 1
    assert blob in gone.stdout


@pytest.mark.usefixtures("warm")
def test_verify_in_a_registry(prebake: Prebake, definition: Definition, tmp_path: Path, world: Any) -> None:
    to = f"{world.registry}/cli/verify:v1"
    (tmp_path / "env.yml").write_text(definition())
    prebake("build", "env.yml", "-q", "--to", to)
    result = prebake("verify", to)
    assert (result.returncode, result.stderr) == (0, f"verifying {to}\n")
    digest = result.stdout.split("sha256:")[1][:64]
    assert prebake("verify", f"{to.removesuffix(':v1')}@sha256:{digest}").returncode == 0


def test_verify_of_what_is_not_there(prebake: Prebake, golden: Callable[..., None], world: Any) -> None:
    golden("verify-folder-missing", prebake("verify", "oci:gone"), 2)
    golden("verify-tag-missing", prebake("verify", f"{world.registry}/cli/gone:v1"), 6)
