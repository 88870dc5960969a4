"""What a Dockerfile takes from outside is found and pinned; all else stays byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from prebake.builders.dockerfile import Dockerfile, parse, pinned, platform_arguments, read_dockerfile
from prebake.cache.oci import Platform
from prebake.errors import DefinitionError

ARGUMENTS = platform_arguments(Platform())


def read(text: str, **arguments: str) -> Dockerfile:
    return parse(Path("Dockerfile"), text, ARGUMENTS | arguments)


def names(text: str, **arguments: str) -> list[str]:
    return [image.name for image in read(text, **arguments).images]


TAKEN = {
    "plain": ("FROM python:3.8\nRUN true\n", ["python:3.8"]),
    "lower-case-and-indented": ("  from python as x\nFROM X\n", ["python"]),
    "comments-and-blank-lines": ("\n# FROM no\n\n  # FROM no\nFROM yes\n", ["yes"]),
    "byte-order-mark": ("\ufeffFROM yes\n", ["yes"]),
    "windows-lines": ("ARG V=3\r\nFROM yes:$V\r\nRUN a \\\r\n  b\r\n", ["yes:3"]),
    "no-newline-at-the-end": ("FROM yes", ["yes"]),
    "scratch": ("FROM scratch\nCOPY --from=tools /a /a\n", ["tools"]),
    "default": ("ARG V=3.8\nFROM python:${V}\n", ["python:3.8"]),
    "default-of-defaults": ('ARG R="docker.io" N=x\nARG I=$R/library/$N\nFROM $I\n', ["docker.io/library/x"]),
    "default-in-place": ("ARG V\nFROM python:${V:-3.9}-${W-slim}${W:+no}\n", ["python:3.9-slim"]),
    "alternative": ("ARG S=1\nFROM python:3${S:+-slim}\n", ["python:3-slim"]),
    "single-quotes": ("ARG V='1'\nFROM a:$V\n", ["a:1"]),
    "platform": ("FROM --platform=$BUILDPLATFORM golang:1 AS b\nFROM b\n", ["golang:1"]),
    "automatic": ("FROM scratch AS base-amd64\nFROM base-$TARGETARCH\nFROM x-$TARGETOS\n", ["x-linux"]),
    "stages": ("FROM a AS one\nFROM one AS two\nFROM two\nCOPY --from=one / /\nCOPY --from=0 / /\n", ["a"]),
    "a-stage-hides-an-image": ("FROM debian AS debian\nFROM debian\n", ["debian"]),
    "copy": (
        "FROM a\nCOPY --chown=1:1 --from=reg.io:5000/b:2 x y\nCOPY --from=a x y\n",
        ["a", "reg.io:5000/b:2", "a"],
    ),
    "copy-over-two-lines": ("FROM a\nCOPY \\\n  # why\n  --from=b \\\n  x y\n", ["a", "b"]),
    "mounts": (
        "FROM a\nRUN --mount=type=bind,from=b,target=/x --mount=from=c,target=/y echo --mount=from=d\n",
        ["a", "b", "c"],
    ),
    "mount-in-quotes": ('FROM a\nRUN --mount="type=bind,from=b,target=/x" true\n', ["a", "b"]),
    "cache-mounts": ("FROM a\nRUN --mount=type=cache,target=/x,id=from=b true\n", ["a"]),
    "here-document": ("FROM a\nRUN <<EOF\nFROM no\nCOPY --from=no a b\nEOF\nCOPY --from=b x y\n", ["a", "b"]),
    "here-documents": ("FROM a\nCOPY <<-'A' <<\"B\" /to/\n\tFROM no\n\tA\nFROM no\nB\nFROM b\n", ["a", "b"]),
    "no-here-document": ("FROM a\nRUN echo '<<EOF' \"<<EOF\" $((1<<2))\nFROM b\n", ["a", "b"]),
    "here-document-without-end": ("FROM a\nRUN cat <<EOF\nFROM b\n", ["a", "b"]),
    "open-quote": ("FROM a\nRUN echo don't\nFROM b\n", ["a", "b"]),
    "escape": ("# escape=`\nFROM a\nRUN dir c:\\\nFROM b\nRUN x `\n FROM no\n", ["a", "b"]),
    "escape-too-late": ("# a comment\n# escape=`\nFROM a\nRUN x \\\n FROM no\n", ["a"]),
    "two-backslashes": ("FROM a\nRUN echo \\\\\nFROM b\n", ["a", "b"]),
    "syntax": ("# syntax=docker/dockerfile:1\nFROM a\n", ["a"]),
    "on-build": ("FROM a\nONBUILD COPY --from=b x y\nONBUILD RUN true\n", ["a"]),
    "pinned-already": (f"FROM a:1@sha256:{'0' * 64}\n", [f"a:1@sha256:{'0' * 64}"]),
}


@pytest.mark.parametrize("case", TAKEN)
def test_images_from_outside(case: str) -> None:
    text, expected = TAKEN[case]
    assert names(text) == expected


@pytest.mark.parametrize("case", TAKEN)
def test_pinning_replaces_them_and_nothing_else(case: str) -> None:
    dockerfile = read(TAKEN[case][0])
    text = pinned(dockerfile, {image.name: "host/pinned" for image in dockerfile.images})
    assert names(text) == ["host/pinned"] * len(dockerfile.images)
    again = read(text)
    assert [each.keyword for each in again.instructions] == [each.keyword for each in dockerfile.instructions]
    assert text.count("\n") == dockerfile.text.count("\n")
    own = {image.name: image.name for image in dockerfile.images}
    if "$" not in dockerfile.text:
        assert pinned(dockerfile, own) == dockerfile.text


def test_pinned_text() -> None:
    text = (
        "# syntax=docker/dockerfile:1\nARG V=3\n\nFROM --platform=linux/amd64   python:$V  as  py\n"
        "RUN --mount=type=bind,from=tools,target=/t \\\n    cp /t/x /x\n\nFROM py\nCOPY --from=other /a /b\n"
    )
    pins = {"python:3": "P@1", "tools": "T@2", "other": "O@3"}
    assert pinned(read(text), pins) == (
        "# syntax=docker/dockerfile:1\nARG V=3\n\nFROM --platform=linux/amd64   P@1  as  py\n"
        "RUN --mount=type=bind,from=T@2,target=/t \\\n    cp /t/x /x\n\nFROM py\nCOPY --from=O@3 /a /b\n"
    )


def test_arguments_win_over_defaults() -> None:
    text = "ARG V=3\nARG W\nFROM a:$V-$W\n"
    assert names(text, V="4", W="x") == ["a:4-x"]
    assert names("FROM a:${V:-3}\n", V="4") == ["a:3"]  # as in Docker: it is not declared


def test_the_base_is_found_through_stages() -> None:
    dockerfile = read("FROM a AS one\nFROM b AS two\nFROM one AS three\nRUN x\nFROM three\n")
    assert dockerfile.base and dockerfile.base.name == "a"
    assert read("FROM a\nFROM scratch\n").base is None
    assert [stage.name for stage in dockerfile.stages] == ["one", "two", "three", ""]


def test_instructions_know_their_lines() -> None:
    dockerfile = read('# x\nARG V=1\nFROM a\nRUN b \\\n\n  # c\n  d\n\nCMD ["e"]\n')
    found = [(each.line, each.keyword, " ".join(each.rest.split())) for each in dockerfile.instructions]
    assert found == [(2, "ARG", "V=1"), (3, "FROM", "a"), (4, "RUN", "b d"), (9, "CMD", '["e"]')]


REFUSED = {
    "empty": ("", "does not start", 1),
    "comments-alone": ("# FROM a\n", "does not start", 1),
    "no-from": ("ARG A=1\n", "does not start", 1),
    "run-first": ("ARG A=1\nRUN true\nFROM a\n", "does not start", 2),
    "unknown": ("FROM a\nRUM true\n", "`RUM` is no instruction", 2),
    "not-a-dockerfile": ("dependencies:\n- python\n", "`dependencies:` is no instruction", 1),
    "continued-by-mistake": ("FROM a\nRUN b &&\n  c\n", "`c` is no instruction", 3),
    "from-nothing": ("FROM\n", "not understood", 1),
    "from-too-much": ("FROM a b\n", "not understood", 1),
    "from-impossible": ("FROM a\nFROM UPPER/b\n", "no image reference", 2),
    "copy-impossible": ("FROM a\n\nCOPY --from=UPPER/b x y\n", "no image reference", 3),
    "without-value": ("ARG V\nFROM python:$V\n", "`V` has no value", 2),
    "not-declared": ("FROM a\nARG V=1\nFROM python:${V}\n", "`V` is not declared before", 3),
    "required": ("ARG V\nFROM python:${V:?say}\n", "`V` has no value", 2),
    "variable-in-copy": ("ARG V=1\nFROM a\nCOPY --from=b:$V x y\n", "takes no variables", 3),
    "no-such-stage": ("FROM a\nCOPY --from=1 x y\n", "no such stage", 2),
    "credential": ("FROM a\nRUN pip install -i https://me:secret@host/simple x\n", "credential", 2),
    "template": ("# base\nFROM a:{{latest-image-tag}}\n", "template", 2),
    "template-in-copy": ("FROM a\nCOPY --from=b:{{tag}} x y\n", "template", 2),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_line(case: str) -> None:
    text, sentence, line = REFUSED[case]
    with pytest.raises(DefinitionError, match=sentence) as caught:
        read(text)
    assert caught.value.facts["line"] == str(line)
    assert caught.value.facts["found"]
    assert caught.value.hint


def test_a_credential_by_variable_is_none() -> None:
    assert names("FROM a\nRUN git clone https://me:${TOKEN}@host/x && curl https://$TOKEN@host\n") == ["a"]


def test_a_go_template_in_a_command_is_none_of_ours() -> None:
    assert names("FROM a\nRUN docker ps --format '{{.ID}}'\n") == ["a"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"FROM a\n# \xff\n", "not UTF-8"),
        (b"FROM a\n" + b"# x" * 400_000, "too large"),
        (None, "does not exist"),
    ],
)
def test_files_that_will_not_do(data: bytes | None, sentence: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / "Dockerfile").write_bytes(data)
    with pytest.raises(DefinitionError, match=sentence):
        read_dockerfile(tmp_path, "Dockerfile", ARGUMENTS)


def test_a_dockerfile_outside_of_the_context(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    (tmp_path / "context/Dockerfile").symlink_to("../Dockerfile")
    for name in ("Dockerfile", "../Dockerfile"):
        with pytest.raises(DefinitionError, match="outside"):
            read_dockerfile(tmp_path / "context", name, ARGUMENTS)


@settings(max_examples=200, deadline=None)
@given(
    some.lists(
        some.sampled_from([*"aA0 \t\"'\\$`#<-=,:@/{}\r", "\n", "FROM ", "RUN ", "--from=", "<<EOF", "ARG "])
    )
)
def test_no_text_crashes_the_parser(parts: list[str]) -> None:
    try:
        dockerfile = read("FROM a\n" + "".join(parts))
    except DefinitionError:
        return
    assert pinned(dockerfile, {image.name: "b" for image in dockerfile.images}).startswith("FROM b")
