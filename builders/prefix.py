"""Where an environment lives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prefix:
    """Where an environment lives in the image, and where its python keeps things."""

    path: str
    python: str
    site_packages: str

    @property
    def interpreter(self) -> str:
        """What the shebang of a script names."""
        return f"{self.path}/bin/python"

    def schemes(self, distribution: str) -> dict[str, str]:
        """Folders of the wheel's install schemes, relative to the root."""
        prefix = self.path.lstrip("/")
        site_packages = f"{prefix}/{self.site_packages}"
        return {
            "purelib": site_packages,
            "platlib": site_packages,
            "scripts": f"{prefix}/bin",
            "headers": f"{prefix}/include/python{self.python}/{distribution}",
            "data": prefix,
        }
