"""What of a folder counts and travels: the same as what a real engine is sent, and nothing else."""

from __future__ import annotations

import io
import json
import os
import socket
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from prebake.builders.context import context_files, context_inputs, unpack, write_pack
from prebake.builders.dockerignore import ignored_by
from prebake.cache.digest import canonical, key_of
from prebake.errors import DefinitionError, IntegrityError, PackageError
from world.tools import run

Tree = Mapping[str, str]
"""Content by path; a path that ends in a slash is a folder, content that starts with `->` a link's target."""


def plant(folder: Path, tree: Tree) -> Path:
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        elif content.startswith("->"):
            path.symlink_to(content[2:])
        else:
            path.write_text(content)
    return folder


def paths(folder: Path, dockerfile: str = "Dockerfile") -> list[str]:
    return [file.path for file in context_files(folder, dockerfile)]


def key(folder: Path, dockerfile: str = "Dockerfile") -> str:
    return str(key_of("docker/1", {"context": context_inputs(context_files(folder, dockerfile))}))


def pack(folder: Path) -> bytes:
    stream = io.BytesIO()
    write_pack(context_files(folder, "Dockerfile"), stream)
    return stream.getvalue()


TREE = {
    "Dockerfile": "FROM scratch\nCOPY . /\n",
    "a.txt": "a",
    "b.log": "b",
    "keep.log": "keep",
    "with space.txt": "",
    "src/main.py": "print()",
    "src/main.pyc": "cafe",
    "src/deep/er/notes.md": "# notes",
    "src/deep/er/b.log": "b",
    "src/link": "->main.py",
    "data/big.bin": "0" * 1000,
    "data/sub/small.bin": "1",
    "data/sub/keep.me": "2",
    "empty/": "",
    "outside": "->/etc/hostname",
    "docs/[x].md": "x",
    "docs/y.md": "y",
}
IGNORE = {
    "nothing": "",
    "suffix-at-the-root-alone": "*.log",
    "suffix-anywhere": "**/*.log\n**/*.pyc",
    "folder": "data/",
    "folder-by-any-depth": "**/er",
    "taken-back": "*.log\n!keep.log",
    "taken-back-from-a-folder": "data\n!data/sub/keep.me",
    "all-but": "*\n!src\nsrc/deep",
    "last-rule-wins": "!a.txt\na.txt\n!a.txt\n*.txt",
    "comments-and-blanks": "# a.txt\n\n   data   \n\t/src/main.py\r\n ! keep.log",
    "question-mark": "?.txt\ndocs/?.md",
    "classes-and-escapes": "docs/[a-y].md\ndocs/\\[x].md",
    "negated-class": "docs/[^a-w].md",
    "dots": "./a.txt\nsrc/../b.log\n../Dockerfile",
    "dockerfile-and-itself": "Dockerfile\n.dockerignore\n*.txt",
    "everything-below": "src/**",
    "middle": "src/**/b.log",
    "a-file-as-folder": "a.txt/b",
    "dollar": "a.tx$",
}


@pytest.mark.parametrize("name", IGNORE)
def test_what_may_be_seen_is_what_docker_sends(name: str, world: Any, tmp_path: Path) -> None:
    """All but an ignored Dockerfile and .dockerignore: those are sent, and hidden from `COPY`."""
    folder = plant(tmp_path / "context", TREE | {".dockerignore": IGNORE[name]})
    host, classic = f"--host={world.docker}", {**os.environ, "DOCKER_BUILDKIT": "0"}
    image = run("docker", host, "build", "-q", folder, env=classic).decode().strip()
    with tarfile.open(fileobj=io.BytesIO(run("docker", host, "save", image))) as saved:
        (layer,) = json.load(saved.extractfile("manifest.json"))[0]["Layers"]  # type: ignore[arg-type]
        with tarfile.open(fileobj=saved.extractfile(layer)) as tar:
            copied = {member.name for member in tar}
    hidden = {"Dockerfile", ".dockerignore"}
    assert set(paths(folder)) - hidden == copied - hidden


def test_the_dockerfile_and_its_ignore_files_are_always_sent(tmp_path: Path) -> None:
    tree = {
        "sub/x.Dockerfile": "",
        "sub/x.Dockerfile.dockerignore": "*",
        ".dockerignore": "!*",
        "a": "",
        "sub/b": "",
    }
    plant(tmp_path, tree)
    assert paths(tmp_path, "sub/x.Dockerfile") == [
        ".dockerignore",
        "sub",
        "sub/x.Dockerfile",
        "sub/x.Dockerfile.dockerignore",
    ]


def test_an_ignored_folder_is_not_looked_into(tmp_path: Path) -> None:
    plant(tmp_path, {"Dockerfile": "", ".dockerignore": "closed", "closed/a": ""})
    os.mkfifo(tmp_path / "closed/pipe")
    assert paths(tmp_path) == [".dockerignore", "Dockerfile"]


def test_who_ignored_a_path_is_told(tmp_path: Path) -> None:
    plant(tmp_path, {".dockerignore": "# all\ndata\n!data/keep\n", "x.dockerignore": "*.py"})
    assert ignored_by(tmp_path, "Dockerfile", "/data/a") == "`data` in .dockerignore line 2"
    assert ignored_by(tmp_path, "Dockerfile", "data/keep/b") == ignored_by(tmp_path, "Dockerfile", "c") == ""
    assert ignored_by(tmp_path, "x", "./a.py") == "`*.py` in x.dockerignore line 1"


@pytest.mark.parametrize("pattern", ["!", "a[", "[z-a]"])
def test_an_impossible_pattern_is_refused_with_its_line(pattern: str, tmp_path: Path) -> None:
    plant(tmp_path, {".dockerignore": f"ok\n{pattern}\n"})
    with pytest.raises(DefinitionError, match="impossible pattern") as caught:
        context_files(tmp_path, "Dockerfile")
    assert caught.value.facts["line"] == "2"


def test_times_and_owners_do_not_count(tmp_path: Path) -> None:
    one, other = plant(tmp_path / "one", TREE), plant(tmp_path / "other", TREE)
    for path in other.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
        os.chown(path, 1234, 1234, follow_symlinks=False)
    assert key(one) == key(other)
    assert pack(one) == pack(other)


def _mode(folder: Path) -> None:
    (folder / "a.txt").chmod(0o755)


def _folder_mode(folder: Path) -> None:
    (folder / "empty").chmod(0o700)


def _renamed(folder: Path) -> None:
    (folder / "a.txt").rename(folder / "c.txt")


def _content(folder: Path) -> None:
    (folder / "src/main.py").write_text("exit()")


def _added(folder: Path) -> None:
    (folder / "empty/new").mkdir()


def _kind(folder: Path) -> None:
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to("a")


def _target(folder: Path) -> None:
    (folder / "src/link").unlink()
    (folder / "src/link").symlink_to("deep")


@pytest.mark.parametrize("change", [_mode, _folder_mode, _renamed, _content, _added, _kind, _target])
def test_what_counts_makes_another_key(change: Callable[[Path], None], tmp_path: Path) -> None:
    plant(tmp_path, TREE)
    before = key(tmp_path)
    change(tmp_path)
    assert key(tmp_path) != before


def test_what_is_ignored_does_not(tmp_path: Path) -> None:
    plant(tmp_path, TREE | {".dockerignore": "data\n*.log"})
    before = key(tmp_path)
    (tmp_path / "b.log").write_text("another")
    (tmp_path / "data/new").write_text("new")
    (tmp_path / "data/sub").chmod(0o700)
    assert key(tmp_path) == before


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: socket.socket(socket.AF_UNIX).bind(str(path))])
def test_sockets_and_pipes_are_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    plant(tmp_path, {"Dockerfile": ""})
    make(tmp_path / "x")
    with pytest.raises(DefinitionError, match="what no image can") as caught:
        context_files(tmp_path, "Dockerfile")
    assert "`x`" in caught.value.hint
    (tmp_path / ".dockerignore").write_text("x")
    assert paths(tmp_path) == [".dockerignore", "Dockerfile"]


def test_a_file_that_vanishes_or_shrinks_is_told(tmp_path: Path) -> None:
    files = context_files(plant(tmp_path, TREE), "Dockerfile")
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DefinitionError, match="cannot be read"):
        context_inputs(files)
    with pytest.raises(DefinitionError, match="cannot be read"):
        write_pack(files, io.BytesIO())


NAMES = some.sampled_from(["a", "b", "ab", "a b", "é", "e\u0301", "\udcff", "%", "\n", '"', "a,file"])
NODES: some.SearchStrategy[Any] = some.recursive(
    some.tuples(some.just("file"), some.sampled_from(["", "a", "b"]), some.sampled_from([0o644, 0o755]))
    | some.tuples(some.just("symlink"), some.sampled_from(["a", "b", "é", "e\u0301", "\udcff"])),
    lambda inner: some.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
TREES = some.dictionaries(NAMES, NODES, max_size=3)


def grow(folder: Path, tree: Mapping[str, Any]) -> None:
    folder.mkdir()
    for name, node in tree.items():
        path = folder / os.fsdecode(name.encode(errors="surrogateescape"))
        if isinstance(node, dict):
            grow(path, node)
        elif node[0] == "symlink":
            path.symlink_to(node[1])
        else:
            path.write_text(node[1])
            path.chmod(node[2])


@settings(max_examples=60, deadline=None)
@given(TREES, TREES)
def test_trees_are_equal_when_their_inputs_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    with TemporaryDirectory() as name:
        keys = []
        for place, tree in (("one", one), ("other", other)):
            grow(Path(name, place), tree)
            keys.append(canonical(context_inputs(context_files(Path(name, place), "Dockerfile"))))
    assert (keys[0] == keys[1]) == (one == other)


@settings(max_examples=30, deadline=None)
@given(TREES)
def test_what_is_packed_is_unpacked(tree: dict[str, Any]) -> None:
    with TemporaryDirectory() as name:
        one, other = Path(name, "one"), Path(name, "other")
        grow(one, tree)
        unpack(io.BytesIO(pack(one)), other)
        assert key(one) == key(other)
        assert pack(one) == pack(other)
        assert sorted(Path(name).iterdir()) == [one, other]


def test_modes_of_closed_folders_survive(tmp_path: Path) -> None:
    one = plant(tmp_path / "one", {"closed/in/file": "x", "set": ""})
    (one / "closed/in").chmod(0o500)
    (one / "closed").chmod(0o555)
    (one / "set").chmod(0o4711)
    unpack(io.BytesIO(pack(one)), tmp_path / "other")
    assert key(one) == key(tmp_path / "other")


def _hostile(*members: tuple[str, bytes, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            tar.addfile(info)
    return stream.getvalue()


FILE, LINK, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE
HOSTILE = {
    "absolute": _hostile(("/etc/x", FILE, "")),
    "dots": _hostile(("../x", FILE, "")),
    "dots-inside": _hostile(("a", FOLDER, ""), ("a/../../x", FILE, "")),
    "dot": _hostile((".", FOLDER, "")),
    "through-a-link": _hostile(("a", LINK, "b"), ("a/x", FILE, "")),
    "no-folder": _hostile(("a/x", FILE, "")),
    "twice": _hostile(("a", FILE, ""), ("a", FILE, "")),
    "absolute-link": _hostile(("a", LINK, "/etc/passwd")),
    "link-out": _hostile(("a", FOLDER, ""), ("a/x", LINK, "../../x")),
    "link-out-through-a-link": _hostile(
        ("a", FOLDER, ""), ("a/b", FOLDER, ""), ("a/b/top", LINK, "../.."), ("x", LINK, "a/b/top/..")
    ),
    "hard-link": _hostile(("a", FILE, ""), ("b", tarfile.LNKTYPE, "a")),
    "device": _hostile(("a", tarfile.CHRTYPE, "")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_packs_are_refused_whole(name: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="not one that prebake wrote"):
        unpack(io.BytesIO(HOSTILE[name]), tmp_path / "made")
    assert not [*tmp_path.iterdir()]


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="damaged"):
        unpack(io.BytesIO(b"no gzip at all"), tmp_path / "made")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("cut", [0, 20, 100, -1])
def test_damaged_packs_are_refused_whole(cut: int, tmp_path: Path) -> None:
    data = pack(plant(tmp_path / "one", TREE))
    with pytest.raises(IntegrityError, match="damaged"):
        unpack(io.BytesIO(data[:cut]), tmp_path / "made")
    assert [*tmp_path.iterdir()] == [tmp_path / "one"]
