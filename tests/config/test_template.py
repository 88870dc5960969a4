"""Go templates: what renders to what, and the one error for what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from prebake.config.places import Line, Place
from prebake.config.template import Secret, has_secret, render, reveal, veiled
from prebake.errors import DefinitionError

DATA = {
    "Run": {"ID": "r1", "Commit": ""},
    "Values": {"tag": "V1", "a": {"b": "deep"}, "pat": Secret("hunter2"), "pad": " x "},
    "Secrets": {"key": Secret("line one\nline two")},
}


def rendered(text: str) -> str:
    return render(Line(text, Place(Path("task.yaml"), 1)), DATA).text


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.Run.ID}}", "r1"),
        ("{{ .Values.a.b }}", "deep"),
        ("{{.Values.tag | lower}}-{{.Run.ID | upper}}", "v1-R1"),
        ('{{.Values.nothing | default "latest" | quote}}', '"latest"'),
        ('{{default "latest" .Values.tag}}', "V1"),
        ("{{ `raw \\n` }}{{ 12 }}{{ true }}", "raw \\n12true"),
        ('{{trimPrefix "V" .Values.tag}}{{.Values.pad | trim | squote}}', "1'x'"),
        ('{{"a/b" | replace "/" "-" | trimSuffix "b" | trunc -2}}', "a-"),
        ('{{"plain" | b64enc}} {{"cGxhaW4=" | b64dec}}', "cGxhaW4= plain"),
        ('{{(.Values.tag | lower) | trunc 1}}{{ "é\\t" }}', "vé\t"),
        ("a\n  {{- .Run.ID -}}  \nb", "ar1b"),
        ("x{{/* said to nobody */}}y", "xy"),
        ("# {{range .Values}} is a comment\n{{.Run.ID}}", "# {{range .Values}} is a comment\nr1"),
        ("$(date) ${HOME} { {x} }", "$(date) ${HOME} { {x} }"),
    ],
)
def test_what_renders(template: str, expected: str) -> None:
    assert rendered(template) == expected


def test_missing_fields_give_nothing_and_a_warning() -> None:
    found = render(
        Line('a:\n{{.Values.tga}}{{.Run.Commit}}{{.No | default "x"}}', Place(Path("t.yaml"), 1)), DATA
    )
    assert found.text == "a:\nx"
    assert found.warnings == (
        "t.yaml:2: `.Values.tga` has no value: it is rendered as nothing",
        "t.yaml:2: `.Run.Commit` has no value: it is rendered as nothing",
    )


def test_what_a_secret_goes_into_is_a_token() -> None:
    found = render(
        Line("{{.Values.pat}} {{.Secrets.key | b64enc}} {{.Run.ID}}", Place(Path("t.yaml"), 1)), DATA
    )
    assert has_secret(found.text)
    assert "hunter2" not in found.text + repr(found) + repr(DATA)
    assert veiled(found.text) == "*** *** r1"
    assert reveal(found.text, found.secrets) == "hunter2 bGluZSBvbmUKbGluZSB0d28= r1"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{if .Values.tag}}x{{end}}", "`if` is a statement"),
        ("{{$x := 1}}", "`$x := 1` cannot be read"),
        ("{{.Values.tag | sha256sum}}", "`sha256sum` is no function"),
        ("{{.Values.tag | .Run.ID}}", "a function has to follow `|`"),
        ("{{.Values.a}}", "`.Values.a` is a mapping"),
        ("{{upper}}", "`upper` cannot take these arguments"),
        ("{{.Values.pat | b64dec}}", "`b64dec` cannot take these arguments"),
        ('{{"x" | trunc "y"}}', "`trunc` cannot take these arguments"),
        ("{{(.Run.ID}}", "`)` is missing"),
        ("{{.Run.ID .Run.ID}}", "`.Run.ID` is too much"),
        ("{{}}", "a value is missing"),
        ('{{"\\q"}}', "an escape that is not known"),
    ],
)
def test_what_is_not_supported_is_one_error_with_its_line(template: str, problem: str) -> None:
    with pytest.raises(DefinitionError, match="a template cannot be rendered") as refused:
        rendered(f"one\ntwo {template}")
    assert problem in refused.value.facts["found"]
    assert refused.value.facts["line"] == "2"
    assert refused.value.hint
    assert "hunter2" not in str(refused.value)
