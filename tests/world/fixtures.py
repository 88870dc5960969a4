"""Small packages, each awkward in one way."""

import tempfile
from pathlib import Path

from world.conda_package import PLACEHOLDER, Entry, Package
from world.native import with_rpath
from world.tools import run

# volatile, or the compiler folds the length of the build-time string into the code
_PROBE = f"""\
#include <stdio.h>
static const char *volatile prefix = "{PLACEHOLDER}/share/probe";
int main(void) {{ puts(prefix); return 0; }}
"""
_POST_LINK = b'#!/bin/sh\necho "linked $PKG_NAME into $PREFIX" > "$PREFIX/share/postlink-demo.txt"\n'


def fixture_packages() -> list[Package]:
    return [
        _prefix_probe(),
        _generic("activate-demo", _activation(), Entry("share/demo/x", b"1\n")),
        _generic("postlink-demo", _script(_POST_LINK), Entry("share/postlink-demo/keep")),
        _generic("clobber-a", Entry("share/clobber/file", b"from a\n")),
        _generic("clobber-b", Entry("share/clobber/file", b"from b\n")),
        _generic("clobber-c", Entry("share/clobber/file", b"from a\n")),
        _generic("nosha-demo", Entry("share/nosha/x", b"its record has no sha256\n")),
        _generic("generic-demo", Entry("share/generic/x", b"no python needed\n")),
        Package("needs-cuda", "1.0", [Entry("share/cuda/x", b"1\n")], depends=["__cuda"]),
        _python_abi(),
        _small_demo("1.0"),
        _small_demo("2.0"),
    ]


def legacy_package() -> Package:
    return _generic("legacy-bz2", Entry("share/legacy/x", b"old format\n"))


def _generic(name: str, *entries: Entry) -> Package:
    return Package(name, "1.0", list(entries), noarch="generic")


def _activation() -> Entry:
    return Entry("etc/conda/activate.d/demo.sh", b'export DEMO_HOME="${CONDA_PREFIX}/share/demo"\n')


def _script(text: bytes) -> Entry:
    return Entry("bin/.postlink-demo-post-link.sh", text, executable=True)


def _prefix_probe() -> Package:
    """The prefix inside a C program, a script, and beside a symlink."""
    shell = f"#!/bin/sh\necho {PLACEHOLDER}/share/probe\n".encode()
    entries = [
        Entry("bin/prefix-probe", _compiled_probe(), executable=True, placeholder="binary"),
        Entry("bin/prefix-probe.sh", shell, executable=True, placeholder="text"),
        Entry("share/probe/hard", b"x\n"),
        Entry("share/probe/soft", link="hard"),
    ]
    return Package("prefix-probe", "1.0", entries, depends=["__glibc >=2.17,<3.0.a0"])


def _compiled_probe() -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "probe.c")
        source.write_text(_PROBE)
        # a relative path and no build id: the scratch folder's name must not reach the program
        run("gcc", "-O1", "-Wl,--build-id=none", "-o", "probe", "probe.c", cwd=Path(scratch))
        return with_rpath(Path(scratch, "probe").read_bytes(), "$ORIGIN/../lib")


def _python_abi() -> Package:
    """Ties binary packages to one minor version of CPython, as conda-forge's does."""
    constrains = ["python 3.11.* *_cpython"]
    return Package("python_abi", "3.11", [], constrains=constrains, noarch="generic", fixed_build="5_cp311")


def _small_demo(version: str) -> Package:
    info = f"site-packages/small_demo-{version}.dist-info"
    listed = [f"small_demo-{version}.dist-info/{name}" for name in ("INSTALLER", "METADATA", "RECORD")]
    code = f'__version__ = "{version}"\n\n\ndef main() -> None:\n    print("small-demo", __version__)\n'
    files = {
        "site-packages/small_demo.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: small-demo\nVersion: {version}\n",
        f"{info}/INSTALLER": "conda\n",
        f"{info}/RECORD": "".join(f"{name},,\n" for name in ("small_demo.py", *listed)),
    }
    return Package(
        "small-demo",
        version,
        [Entry(path, text.encode()) for path, text in files.items()],
        depends=["python >=3.8"],
        noarch="python",
        entry_points=["small-demo = small_demo:main"],
    )
