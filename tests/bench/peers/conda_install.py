#!/usr/bin/python3
"""conda-install PREFIX SPEC...: what pixi and mamba do in a Dockerfile, by py-rattler, pixi's own library.

No conda, mamba or pixi can be had from PyPI or Debian.
"""

import asyncio
import os
import sys

import rattler

CHANNEL = os.environ["CONDA_CHANNEL"]


async def main(prefix: str, specs: list[str]) -> None:
    found = rattler.VirtualPackage.detect()
    records = await rattler.solve(
        [CHANNEL], specs, platforms=["linux-64", "noarch"], virtual_packages=[p.into_generic() for p in found]
    )
    await rattler.install(records, target_prefix=prefix)


asyncio.run(main(sys.argv[1], sys.argv[2:]))
os._exit(0)  # rattler's threads abort an interpreter that ends beside them
