"""`prebake report`: one page that asks nobody for anything and tells what the store knows."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Prebake = Callable[..., CompletedProcess[str]]


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects text and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.kinds: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [given[name] or "" for name in ("href", "src", "xlink:href", "action") if name in given]
        self.kinds += [given["class"] or ""] if tag == "rect" and "class" in given else []
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_tells_what_there_is(
    prebake: Prebake, definition: Callable[..., str], warm: Path, tmp_path: Path
) -> None:
    assert warm.is_dir()
    (tmp_path / "env.yml").write_text(f"name: <b>vision</b>\n{definition('six', pip=('tabulate',))}")
    assert prebake("build", "env.yml").returncode == 0
    assert prebake("build", "env.yml").returncode == 0
    assert prebake("warm", "run", "--target", "oci:node").returncode == 0
    done = prebake("report", "-o", "page.html", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert (said["file"], said["environments"], said["requests"]) == ("page.html", 2, 3)
    assert said["stored"] < said["nominal"]
    page = Page((tmp_path / "page.html").read_text())
    text = " ".join(page.text)
    assert "<b>vision</b>" in text and "oci:node" in text and "fresh" in text
    assert {"conda shared", "conda own", "pip own", "hit-local", "built", "pending"} <= {*page.kinds}
    assert page.links == ["data:,"]
    assert not re.search(r"https?://|@import|url\(", (tmp_path / "page.html").read_text())


def test_an_empty_store_has_a_page(prebake: Prebake, tmp_path: Path) -> None:
    assert prebake("report").stdout == "report.html\n"
    text = " ".join(Page((tmp_path / "report.html").read_text()).text)
    for told in ("No environment was asked for", "Nothing was built", "Nothing was warmed"):
        assert told in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--days", "0"), "a report of no days"),
        (("-o", "no/such/folder/page.html"), "the output file cannot be written"),
    ],
)
def test_refused(arguments: tuple[str, ...], sentence: str, prebake: Prebake) -> None:
    error = json.loads(prebake("report", *arguments, "--json").stderr)
    assert (error["error"], error["type"]) == (sentence, "SettingsError")
