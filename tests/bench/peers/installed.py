"""prebake as its users have it: a regular install in an environment of its own, compiled.

What a checkout has instead (an editable install) imports 10 ms more at every start.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import uv

from world.tools import run_command

_ROOT = Path(__file__).parent.parent.parent.parent


def install(folder: Path) -> Path:
    """The command `prebake`, installed into `folder`."""
    run_command([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    options = ["--quiet", "--compile-bytecode", f"--constraint={_ROOT / 'requirements.lock'}"]
    command = [uv.find_uv_bin(), "pip", "install", f"--python={folder / 'bin/python'}", *options]
    _remove_build()  # what an older tree left there would be packed, too
    run_command([*command, str(_ROOT)])
    _remove_build()
    return folder / "bin" / "prebake"


def _remove_build() -> None:
    """What setuptools leaves in the checkout."""
    shutil.rmtree(_ROOT / "build", ignore_errors=True)
