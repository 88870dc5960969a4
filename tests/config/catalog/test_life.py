"""The life of an environment: registered, found, changed, hidden, deleted; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prebake.config.catalog import ANONYMOUS, Record
from prebake.config.catalog.catalog import Catalog
from prebake.config.definition import BuildContext, Definition, Environment
from prebake.errors import ConflictError, PrebakeError, SettingsError

from .conftest import execute

Vision = Callable[..., Environment]
Golden = Callable[[str, PrebakeError], None]
RECORD = Record("{}", "debian@sha256:1", "sha256:2", "registry/vision@sha256:2", "locked", "ada")


def register(catalog: Catalog, environment: Environment, asked_by: str = "ada") -> str:
    return catalog.register(environment, asked_by=asked_by).title


def test_versions_count_up_and_equal_definitions_share_one(catalog: Catalog, vision: Vision) -> None:
    assert register(catalog, vision()) == "vision:1"
    assert register(catalog, vision("numpy")) == "vision:2"
    assert register(catalog, vision("NumPy")) == "vision:2"
    assert register(catalog, vision()) == "vision:3", "only the latest version is looked at"
    assert register(catalog, vision("scipy", version="22.02-py3")) == "vision:22.02-py3"
    assert register(catalog, vision("pandas", version="20")) == "vision:20"
    assert register(catalog, vision()) == "vision:21"
    assert [version.version for version in catalog.versions("vision")] == [
        "1",
        "2",
        "3",
        "20",
        "21",
        "22.02-py3",
    ]


def test_what_comes_back_is_what_was_registered(catalog: Catalog, vision: Vision) -> None:
    asked = vision("numpy", version="1.0", description="for eyes")
    version = catalog.register(replace(asked, tags=(("team", "b"), ("area", "a"))), asked_by="ada")
    again = catalog.get("azureml:vision:1.0")
    assert again == version
    assert again.environment == replace(asked, tags=(("team", "b"), ("area", "a")))
    assert (again.asked_by, again.labels, again.archived) == ("ada", ("latest",), False)


def test_description_and_tags_alone_change(catalog: Catalog, vision: Vision) -> None:
    register(catalog, replace(vision(description="old"), tags=(("a", "1"),)))
    register(catalog, replace(vision(version="1"), tags=(("b", "2"),)), "grace")
    version = catalog.get("vision:1")
    assert (version.environment.description, version.asked_by) == ("old", "ada")
    assert dict(version.environment.tags) == {"a": "1", "b": "2"}
    version = catalog.edit("vision@latest", "new", {"a": None, "c": "3"})
    assert version.environment.description == "new"
    assert dict(version.environment.tags) == {"b": "2", "c": "3"}
    assert catalog.edit("vision", None, {}).environment.description == "new"


def test_another_definition_under_a_taken_version_is_refused(
    catalog: Catalog, vision: Vision, golden: Golden
) -> None:
    register(catalog, vision("numpy", version="1"))
    other = vision("scipy", "pandas", version="1")
    other = replace(other, definition=replace(other.definition, image="debian:13"))
    with pytest.raises(ConflictError) as caught:
        register(catalog, other)
    golden("conflict", caught.value)
    assert "numpy" in str(catalog.get("vision:1"))


@pytest.mark.parametrize(
    ("case", "name", "version"),
    [
        ("name-missing", None, None),
        ("name-reserved", "AzureML-pytorch", None),
        ("name-reserved-too", "microsoft-x", None),
        ("name-of-the-anonymous", ANONYMOUS, None),
        ("name-impossible", "vision/2", None),
        ("name-too-long", "v" * 256, None),
        ("version-impossible", "vision", "1:2"),
        ("version-empty", "vision", ""),
    ],
)
def test_identities_that_cannot_be_registered(
    case: str, name: str, version: str, catalog: Catalog, vision: Vision, golden: Golden
) -> None:
    with pytest.raises(SettingsError) as caught:
        register(catalog, vision(name=name, version=version))
    golden(case, caught.value)
    assert catalog.all() == ()


@pytest.mark.parametrize(
    ("case", "reference"),
    [
        ("no-such-name", "visoin"),
        ("no-such-version", "vision:22.3"),
        ("no-such-label", "vision@prd"),
        ("no-such-anonymous", f"{ANONYMOUS}:0123"),
        ("no-reference", "vision:1:2"),
    ],
)
def test_references_that_name_nothing(
    case: str, reference: str, catalog: Catalog, vision: Vision, golden: Golden
) -> None:
    register(catalog, vision(version="22.2"))
    catalog.label("vision:22.2", "prod")
    with pytest.raises(SettingsError) as caught:
        catalog.get(reference)
    golden(case, caught.value)


def test_latest_is_what_was_registered_last(catalog: Catalog, vision: Vision) -> None:
    register(catalog, vision(version="9"))
    register(catalog, vision("numpy", version="2"))
    catalog.edit("vision:9", "changed later", {})
    assert catalog.get("vision").title == catalog.get("vision@latest").title == "vision:2"
    catalog.archive("vision:2")
    assert catalog.get("vision@latest").title == "vision:9"
    catalog.restore("vision:2")
    assert catalog.get("vision@latest").title == "vision:2"


def test_labels_move(catalog: Catalog, vision: Vision, golden: Golden) -> None:
    register(catalog, vision())
    register(catalog, vision("numpy"))
    assert catalog.label("vision:1", "prod").labels == ("prod",)
    assert catalog.label("vision:2", "prod").labels == ("latest", "prod")
    assert catalog.get("vision@prod").title == "vision:2"
    assert catalog.get("vision:1").labels == ()
    assert catalog.unlabel("vision", "prod").title == "vision:2"
    with pytest.raises(SettingsError):
        catalog.get("vision@prod")
    with pytest.raises(SettingsError) as caught:
        catalog.label("vision:1", "latest")
    golden("label-latest", caught.value)
    with pytest.raises(SettingsError) as caught:
        catalog.label("vision:1", "a b")
    golden("label-impossible", caught.value)


def test_archived_versions_are_hidden_and_usable(catalog: Catalog, vision: Vision, golden: Golden) -> None:
    register(catalog, vision())
    register(catalog, vision("numpy"))
    catalog.archive("vision:1")
    assert [version.archived for version in catalog.all()] == [True, False]
    assert catalog.get("vision:1").environment.definition == vision().definition
    catalog.archive("vision:2")
    with pytest.raises(SettingsError) as caught:
        catalog.get("vision@latest")
    golden("all-archived", caught.value)


def test_an_archived_name_archives_what_is_new(catalog: Catalog, vision: Vision, golden: Golden) -> None:
    register(catalog, vision())
    catalog.archive("vision:1")
    catalog.archive("vision")
    assert catalog.register(vision("numpy"), asked_by="ada").archived
    with pytest.raises(ConflictError) as caught:
        catalog.restore("vision:2")
    golden("restore-within-archived", caught.value)
    catalog.restore("vision")
    assert [version.archived for version in catalog.versions("vision")] == [True, False]


def test_deleted_is_gone_and_its_number_too(catalog: Catalog, vision: Vision, golden: Golden) -> None:
    register(catalog, vision())
    catalog.record(catalog.register(vision("numpy"), asked_by="ada"), RECORD)
    assert [record.image for record in catalog.delete("vision:2", asked_by="grace")] == ["sha256:2"]
    with pytest.raises(SettingsError) as caught:
        catalog.get("vision:2")
    golden("deleted", caught.value)
    with pytest.raises(ConflictError) as conflict:
        register(catalog, vision("numpy", version="2"))
    golden("deleted", conflict.value)
    assert register(catalog, vision("numpy")) == "vision:3"
    catalog.archive("vision:1")
    catalog.archive("vision:3")
    catalog.delete("vision", asked_by="ada")
    assert catalog.all() == ()
    assert register(catalog, vision()) == "vision:4"


def test_what_a_label_points_at_is_not_deleted(catalog: Catalog, vision: Vision, golden: Golden) -> None:
    register(catalog, vision())
    register(catalog, vision("numpy"))
    catalog.label("vision:1", "prod")
    for reference in ("vision:1", "vision"):
        with pytest.raises(ConflictError) as caught:
            catalog.delete(reference, asked_by="ada")
        golden("delete-labelled", caught.value)
    assert len(catalog.versions("vision")) == 2


def test_anonymous_environments_are_named_by_content(catalog: Catalog, vision: Vision) -> None:
    one = catalog.register(vision("numpy", version="7"), asked_by="ada", anonymous=True)
    same = catalog.register(vision("NumPy", name="other"), asked_by="grace", anonymous=True)
    other = catalog.register(vision("scipy"), asked_by="ada", anonymous=True)
    assert one == same
    assert one.version != other.version
    assert one.name == ANONYMOUS
    assert catalog.get(f"azureml:{one.title}") == one
    assert (catalog.all(), catalog.names()) == ((), [])
    catalog.delete(one.title, asked_by="ada")
    assert catalog.register(vision("numpy"), asked_by="ada", anonymous=True).title == one.title


def test_every_outcome_is_remembered_once(catalog: Catalog, vision: Vision) -> None:
    version = catalog.register(vision(), asked_by="ada")
    assert catalog.records(version) == ()
    for record in (RECORD, replace(RECORD, asked_by="grace"), replace(RECORD, lock="{1}", policy="always")):
        catalog.record(version, record)
    first, second = catalog.records(version)
    assert (first.lock, first.policy, first.asked_by) == ("{}", "locked", "ada")
    assert (second.lock, second.policy) == ("{1}", "always")
    assert first.at < first.last <= second.at == second.last
    assert catalog.records(catalog.register(vision("numpy"), asked_by="ada")) == ()


def test_a_context_counts_by_its_content(catalog: Catalog, vision: Vision) -> None:
    build = BuildContext(Path("/home/ada/vision"))
    environment = replace(vision(), definition=Definition(build=build))
    first = catalog.register(environment, asked_by="ada", context="sha256:1")
    assert first.context == "sha256:1"
    assert "ada/vision" not in str(first)
    assert catalog.register(environment, asked_by="ada", context="sha256:1") == first
    assert catalog.register(environment, asked_by="ada", context="sha256:2").title == "vision:2"


def test_more_names_than_a_query_takes_parameters(url: str, catalog: Catalog, vision: Vision) -> None:
    register(catalog, vision(version="7"))
    numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 66000)"
    rest = "version, description, tags, definition, context, archived, created, asked_by"
    execute(
        url,
        f"INSERT INTO prebake_names {numbers} SELECT 'name' || n, n = 1, 7 FROM c",
        f"INSERT INTO prebake_versions (name, {rest}) {numbers} "
        f"SELECT 'name' || n, {rest} FROM c, prebake_versions",
    )
    found = catalog.all()
    assert len(found) == 66_001
    assert all(version.labels == ("latest",) for version in found)
    assert [version.name for version in found if version.archived] == ["name1"]
