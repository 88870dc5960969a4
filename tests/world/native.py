"""Debian packages as relocatable conda packages: C libraries, CA certificates, time zones and CPython 3.11.

Files move from usr/ to the prefix, and each ELF file gets an RPATH relative to itself, so that the prefix may
be anywhere. RPATH rather than RUNPATH: it also holds for the libraries of libraries.
"""

import io
import os
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from world.conda_package import PLACEHOLDER, Entry, Package
from world.tools import run

PYTHON = "3.11"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"
_STDLIB = f"lib/python{PYTHON}"
_GLIBC = "__glibc >=2.36,<3.0.a0"

# conda name: Debian packages (the first gives the version), other dependencies
_LIBRARIES: dict[str, tuple[list[str], list[str]]] = {
    "bzip2": (["libbz2-1.0"], []),
    "libexpat": (["libexpat1"], []),
    "libffi": (["libffi8"], []),
    "libgcc": (["libgcc-s1"], []),
    "liblzma": (["liblzma5"], []),
    "libsqlite": (["libsqlite3-0"], ["libzlib"]),
    "libstdcxx": (["libstdc++6"], ["libgcc"]),
    "libuuid": (["libuuid1"], []),
    "libxcrypt": (["libcrypt1"], []),
    "libzlib": (["zlib1g"], []),
    "ncurses": (["libtinfo6", "libncursesw6", "ncurses-base"], []),
    "openssl": (["libssl3", "openssl"], ["ca-certificates"]),
    "readline": (["libreadline8"], ["ncurses"]),
}
_PYTHON_DEBS = [
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3-distutils",
    "python3-lib2to3",
]
_PYTHON_DEPENDS = [
    *[_GLIBC, "bzip2 >=1.0.8,<2.0a0", "libexpat >=2.5,<3.0a0", "libffi >=3.4,<4.0a0", "liblzma >=5.4,<6.0a0"],
    *["libsqlite >=3.40,<4.0a0", "libuuid >=2.38,<3.0a0", "libxcrypt >=4.4", "libzlib >=1.2.13,<2.0a0"],
    *["ncurses >=6.4,<7.0a0", "openssl >=3.0,<4.0a0", "readline >=8.2,<9.0a0", "tzdata"],
]
DEBS = [*_PYTHON_DEBS, "ca-certificates", "tzdata", *(deb for debs, _ in _LIBRARIES.values() for deb in debs)]

_DROPPED = re.compile(r"(usr/share/(doc|man|lintian|locale|info|bug|binfmts|applications|pixmaps|menu)|etc)/")
_MOVED = [
    ("usr/lib/x86_64-linux-gnu/", "lib/"),
    ("lib/x86_64-linux-gnu/", "lib/"),
    ("lib/terminfo/", "share/terminfo/"),
]
_NOT_IN_PYTHON = re.compile(
    rf"{_STDLIB}/(test/|EXTERNALLY-MANAGED|sitecustomize\.py)|lib/python3/|lib/python3\.1[02]/|share/"
    rf"|{_STDLIB}/lib-dynload/(nis|_dbm|_gdbm|_test\w+|xx\w+|_xxtestfuzz|_ctypes_test)\."
)
# CPython 3.11 freezes `site`, so Debian's dist-packages policy can only be undone here
_SITECUSTOMIZE = b"""\
import os, site, sys
def _site_packages(prefixes=None):
    return [os.path.join(p, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
            for p in dict.fromkeys(prefixes or site.PREFIXES)]
site.getsitepackages = _site_packages
for _d in _site_packages():
    if _d not in sys.path and os.path.isdir(_d):
        site.addsitedir(_d)
"""
# Debian compiles its own certificate path into OpenSSL; conda solves that by activation, so do we
_OPENSSL_SCRIPTS = [
    Entry("etc/conda/activate.d/openssl.sh", b'export SSL_CERT_FILE="${CONDA_PREFIX}/ssl/cacert.pem"\n'),
    Entry("etc/conda/deactivate.d/openssl.sh", b"unset SSL_CERT_FILE\n"),
]


def native_packages(debs: dict[str, Path]) -> Iterator[Package]:
    yield _ca_certificates(debs["ca-certificates"])
    yield _tzdata(debs["tzdata"])
    yield _python(debs)
    for name, (sources, depends) in _LIBRARIES.items():
        entries = list(_entries([debs[source] for source in sources]).values())
        extra = _OPENSSL_SCRIPTS if name == "openssl" else []
        yield Package(name, _version(debs[sources[0]]), [*entries, *extra], depends=[_GLIBC, *depends])


def with_rpath(program: bytes, rpath: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "elf")
        path.write_bytes(program)
        run("patchelf", "--force-rpath", "--set-rpath", rpath, path)
        return path.read_bytes()


def _ca_certificates(deb: Path) -> Package:
    found = {path: entry.data for path, entry in _entries([deb]).items() if path.endswith(".crt")}
    bundle = b"".join(found[path] for path in sorted(found))
    entries = [Entry("ssl/cacert.pem", bundle), Entry("ssl/cert.pem", link="cacert.pem")]
    return Package("ca-certificates", _version(deb), entries, noarch="generic", license="MPL-2.0")


def _tzdata(deb: Path) -> Package:
    entries = [entry for path, entry in _entries([deb]).items() if path.startswith("share/zoneinfo/")]
    return Package("tzdata", _version(deb), entries, noarch="generic")


def _python(debs: dict[str, Path]) -> Package:
    kept = _entries([debs[name] for name in _PYTHON_DEBS])
    files = {path: _python_file(entry) for path, entry in kept.items() if not _NOT_IN_PYTHON.match(path)}
    pydoc = f"#!{PLACEHOLDER}/bin/python3.11\nimport pydoc\npydoc.cli()\n".encode()
    added = [
        Entry("bin/python", link="python3.11"),
        Entry("bin/python3", link="python3.11"),
        Entry("bin/pydoc3.11", pydoc, executable=True, placeholder="text"),
        Entry(f"{_STDLIB}/sitecustomize.py", _SITECUSTOMIZE),
        Entry(f"{SITE_PACKAGES}/README.txt", b"third-party packages go here\n"),
    ]
    return Package(
        "python",
        _version(debs["python3.11-minimal"]),
        list((files | {entry.path: entry for entry in added}).values()),
        depends=_PYTHON_DEPENDS,
        constrains=["python_abi 3.11.* *_cp311"],
        license="Python-2.0",
        fixed_build="hdeb12_0_cpython",
        site_packages=SITE_PACKAGES,
    )


def _python_file(entry: Entry) -> Entry:
    """Upstream's install scheme, and the build-time prefix as a placeholder."""
    if entry.path == f"{_STDLIB}/sysconfig.py":
        scheme = entry.data.replace(b"prefix_scheme = 'posix_local'", b"prefix_scheme = 'posix_prefix'")
        if scheme == entry.data:
            raise ValueError("Debian's sysconfig.py no longer has the line that is patched here")
        return replace(entry, data=scheme)
    if "/_sysconfigdata" in entry.path and entry.link is None:
        text = re.sub(rb"(?<![\w/])/usr(?=[/'\" ]|$)", PLACEHOLDER.encode(), entry.data)
        return replace(entry, data=text, placeholder="text")
    return entry


def _entries(debs: list[Path]) -> dict[str, Entry]:
    found = {entry.path: entry for deb in debs for entry in _unpacked(deb)}
    retargeted = (_retargeted(entry, found) for entry in found.values())
    return {entry.path: entry for entry in retargeted if entry}


def _unpacked(deb: Path) -> Iterator[Entry]:
    with tarfile.open(fileobj=io.BytesIO(run("dpkg-deb", "--fsys-tarfile", deb))) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isdir() or _DROPPED.match(name):
                continue
            if member.issym():
                yield Entry(_moved(name), link=member.linkname)
            elif source := archive.extractfile(member):
                yield _file(_moved(name), source.read(), bool(member.mode & 0o111))


def _file(path: str, data: bytes, executable: bool) -> Entry:
    # 2 and 3 are programs and shared objects; patchelf refuses plain object files
    if data[:4] == b"\x7fELF" and data[16] in (2, 3):
        data = with_rpath(data, "$ORIGIN/" + os.path.relpath("lib", posixpath.dirname(path)))
    return Entry(path, data, executable)


def _moved(path: str) -> str:
    for old, new in _MOVED:
        if path.startswith(old):
            return new + path.removeprefix(old)
    return path.removeprefix("usr/")


def _retargeted(entry: Entry, found: dict[str, Entry]) -> Entry | None:
    """Links into a folder that moved follow it; links out of the package (alternatives, /etc) go."""
    if entry.link is None:
        return entry
    folder = posixpath.dirname(entry.path)
    if posixpath.normpath(posixpath.join(folder, entry.link)) in found:
        return entry
    moved = "lib/" + posixpath.basename(entry.link)
    if entry.link.startswith("/") or moved not in found:
        return None
    return replace(entry, link=os.path.relpath(moved, folder))


def _version(deb: Path) -> str:
    """The upstream version: without epoch, Debian revision and repack marks."""
    full = run("dpkg-deb", "--field", deb, "Version").decode().strip().split(":")[-1]
    upstream = full.rsplit("-", 1)[0]
    return re.sub(r"(\.dfsg|[+~]).*$", "", upstream)
