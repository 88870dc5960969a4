"""`prebake env`: each verb through the real command, and builds by reference."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from named import Prebake, Write, check_golden, said, text

VERBS = (
    *("register", "list", "show", "versions", "diff", "clone", "edit", "tag", "label", "archive", "restore"),
    *("delete", "export", "import"),
)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_shows_examples(verb: str, prebake: Prebake) -> None:
    shown = text(prebake("env", verb, "--help"))
    assert f"prebake env {verb}" in shown.partition("\nexamples:\n")[2]


def test_help_is_quick_to_load(command: Prebake) -> None:
    result = command("env", "diff", "--help", PYTHONPROFILEIMPORTTIME="1")
    heavy = ("sqlalchemy", "alembic", "rattler", "prefect", "xxhash", "yaml")
    assert not [name for name in heavy if f" {name}\n" in result.stderr]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_life_of_an_environment(
    database: str, prebake: Prebake, write: Write, request: pytest.FixtureRequest
) -> None:
    where = {"PREBAKE_CATALOG": request.getfixturevalue("server")} if database == "postgresql" else {}

    def env(*arguments: str) -> str:
        return text(prebake("env", *arguments, **where))

    write("part-a", "part-b")
    assert env("list") == "no environment is registered\n"
    assert (
        env("register", "env.yml", "--name", "vision", "--description", "for eyes", "--tag", "team=a")
        == "vision:1\n"
    )
    assert env("register", "env.yml", "--name", "vision") == "vision:1\n"
    first = said(prebake("build", "vision:1", "--json", **where))
    write("part-a", "part-c", COLOUR="red")
    assert env("register", "env.yml", "--name", "vision", "--tag", "team=b") == "vision:2\n"
    assert said(prebake("build", "env.yml", "--json", **where))["layers"]
    second = said(prebake("build", "azureml:vision@latest", "--json", **where))
    assert {layer["outcome"] for layer in second["layers"]} == {"hit-local"}
    assert env("label", "vision:1", "prod") == "vision@prod means vision:1\n"
    assert env("tag", "vision:1", "stage=live", "team=") == "vision:1\n"
    assert env("edit", "vision:2", "--description", "for bigger eyes", "--untag", "team") == "vision:2\n"
    check_golden("show", env("show", "vision@prod"))
    check_golden("versions", env("versions", "vision"))
    check_golden("diff", env("diff", "vision:1", "vision:2"))
    shown = said(prebake("env", "show", "vision", "--json", **where))
    assert [record["image"] for record in shown["records"]] == [second["digest"]]
    assert env("clone", "vision@prod", "speech") == "speech:1\n"
    env("archive", "vision:1")
    check_golden("list", env("list"))
    assert said(prebake("build", "vision:1", "--json", **where))["digest"] == first["digest"]
    env("restore", "vision:1")
    assert env("label", "vision", "prod", "--remove") == "vision@prod means nothing any more\n"
    check_golden("delete", env("delete", "vision:1"))
    assert prebake("build", "vision:1", **where).returncode == 2
    assert env("register", "env.yml", "--name", "vision") == "vision:2\n"


def test_every_verb_answers_scripts(prebake: Prebake, write: Write) -> None:
    write("part-a")
    made = said(prebake("env", "register", "env.yml", "--name", "vision", "--json"))
    assert (made["name"], made["version"], made["asked_by"], made["labels"]) == (
        "vision",
        "1",
        "ada",
        ["latest"],
    )
    assert made["definition"]["conda_file"]["dependencies"] == ["python=3.11", "part-a"]
    write("part-b")
    assert said(prebake("env", "register", "env.yml", "--name", "vision", "--json"))["version"] == "2"
    assert said(prebake("env", "list", "--json"))["environments"][0]["versions"] == 2
    assert len(said(prebake("env", "versions", "vision", "--json"))["versions"]) == 2
    difference = said(prebake("env", "diff", "vision:1", "vision:2", "--json"))
    changed = {"conda_file.dependencies": {"removed": ["part-a"], "added": ["part-b"]}}
    assert (difference["definition"], difference["locks"]) == (changed, None)
    assert said(prebake("env", "tag", "vision:1", "a=1", "--json"))["tags"] == {"a": "1"}
    assert said(prebake("env", "edit", "vision:1", "--description", "x", "--json"))["description"] == "x"
    assert said(prebake("env", "label", "vision:1", "prod", "--json"))["labels"] == ["prod"]
    assert said(prebake("env", "clone", "vision:1", "speech", "--json"))["name"] == "speech"
    assert said(prebake("env", "archive", "speech", "--json")) == {"archived": "speech"}
    assert said(prebake("env", "restore", "speech", "--json")) == {"restored": "speech"}
    assert said(prebake("env", "export", "-o", "out.zip", "--json"))["exported"] == [
        "speech:1",
        "vision:1",
        "vision:2",
    ]
    assert said(prebake("env", "import", "out.zip", "--json"))["imported"] == [
        "speech:1",
        "vision:1",
        "vision:2",
    ]
    assert said(prebake("env", "delete", "vision", "--force", "--json")) == {
        "deleted": "vision",
        "images": [],
    }


def test_what_only_this_machine_has_is_told(prebake: Prebake, write: Write, tmp_path: Path) -> None:
    file = write("part-a", "pip: [-e ./own, tabulate]")
    result = prebake("env", "register", file.name, "--name", "vision")
    assert (result.returncode, result.stdout) == (0, "vision:1\n")
    assert result.stderr == "warning: `-e ./own` is on this machine alone: others cannot build it\n"


def test_a_file_wins_over_a_reference(command: Prebake, write: Write, tmp_path: Path) -> None:
    write("part-a").rename(tmp_path / "vision:1")
    assert command("plan", "vision:1").returncode == 0
    (tmp_path / "vision:1").unlink()
    result = command("plan", "vision:1")
    assert (result.returncode, result.stdout) == (2, "")
    assert "there is no environment `vision`" in result.stderr


def test_a_hit_by_file_imports_no_catalog(prebake: Prebake, command: Prebake, write: Write) -> None:
    write("part-a")
    assert prebake("build", "env.yml").returncode == 0
    result = command("build", "env.yml", PYTHONPROFILEIMPORTTIME="1")
    assert "0 built" in result.stdout
    assert not re.search(r"\| +(?:sqlalchemy|alembic|prebake\.config\.catalog)\b", result.stderr)


def test_a_catalog_of_others_is_read_and_not_written(prebake: Prebake, write: Write, tmp_path: Path) -> None:
    theirs = f"sqlite:///{tmp_path}/theirs.db"
    write("part-a")
    assert prebake("env", "register", "env.yml", "--name", "vision", PREBAKE_CATALOG=theirs).returncode == 0
    reference = "azureml://registries/shared/environments/vision/versions/1"
    unknown = prebake("build", reference)
    assert unknown.returncode == 2
    assert "there is no catalog `shared`" in unknown.stderr
    named = {"PREBAKE_CATALOGS": f"shared={theirs}"}
    assert said(prebake("build", reference, "--json", **named))["layers"]
    assert said(prebake("env", "show", reference, "--json", **named))["records"] == []
    assert text(prebake("env", "clone", reference, "mine", **named)) == "mine:1\n"
    assert said(prebake("env", "show", "mine", "--json"))["asked_by"] == "ada"


@pytest.mark.parametrize(
    ("case", "arguments"),
    [
        ("cli-image-of-a-reference", ("build", "vision:1", "--image", "debian:13")),
        ("cli-no-tag", ("env", "tag", "vision:1", "prod")),
        ("cli-diff-of-one", ("env", "diff", "vision:1")),
        ("cli-diff-of-no-locks", ("env", "diff", "vision:1", "--locks")),
        ("cli-conflict", ("env", "register", "env.yml", "--name", "vision", "--version", "1")),
        ("cli-nameless", ("env", "register", "env.yml")),
        ("cli-no-export", ("env", "import", "env.yml")),
        ("cli-export-unknown", ("env", "export", "visoin", "-o", "out.zip")),
    ],
)
def test_refused(
    case: str, arguments: tuple[str, ...], prebake: Prebake, write: Write, tmp_path: Path
) -> None:
    write("part-a")
    assert prebake("env", "register", "env.yml", "--name", "vision").returncode == 0
    write("part-b")
    result = prebake(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    check_golden(case, result.stderr.replace(str(tmp_path), "FOLDER"))
    assert not (tmp_path / "out.zip").exists()
    assert json.loads(prebake(*arguments, "--json").stderr)["hint"]
    assert len(said(prebake("env", "versions", "vision", "--json"))["versions"]) == 1
