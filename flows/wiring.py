"""The composition root: settings meet constructors here and nowhere else.

Nobody else reads the environment or knows what runs behind a Protocol.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..builders.around import directly
from ..builders.grouping import Budget
from ..builders.pin import Registries
from ..builders.recipe import Recipe
from ..builders.sources import Sources
from ..builders.world import Policy, World
from ..cache.directory import DirectoryStore
from ..cache.memo import TagMemo
from ..cache.tiered import Tiers, Ways
from ..config.settings import Settings, load_settings
from ..errors import SettingsError
from .destination import STORE, Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..builders.around import Around
    from ..builders.docker_access import Access
    from ..cache.credentials import Credentials
    from ..cache.leases import Leases
    from ..cache.origins import Origins
    from ..cache.reference import Reference
    from ..cache.registry import Repository
    from ..cache.tiered import Tier
    from ..cache.transport import Transport
    from ..config.catalog.catalog import Catalog

ON_DEMAND, TRIAL = "on-demand", "trial"


@dataclass(frozen=True, eq=False, repr=False)
class Request:
    """What a caller asks beyond the definition; an empty `policy` means the settings'.

    `lane` tells who asks: a person or a job (`on-demand`), or the platform for its own ends; what is built on
    `trial` counts for nothing until it is delivered.
    `around` runs the pieces of work, should there be any to do.
    """

    destination: Destination = STORE
    policy: str = ""
    allow_sdist: frozenset[str] = frozenset()
    around: Around = directly
    lane: str = ON_DEMAND


@dataclass(frozen=True, eq=False, repr=False)
class Workspace:
    """One user's place to build: settings, local store and connections, made once per process.

    `tags` is what base tags are known to point at; a roll-out pins one for as long as it takes.
    """

    settings: Settings
    environ: Mapping[str, str] = field(repr=False)
    tags: TagMemo = field(default_factory=TagMemo)

    @functools.cached_property
    def local(self) -> DirectoryStore:
        """The local store."""
        return DirectoryStore(self.settings.store)

    @functools.cached_property
    def remote(self) -> tuple[Tier, ...]:
        """The tiers above it, nearest first."""
        from .tiers import connect

        return connect(self)

    @functools.cached_property
    def leases(self) -> Leases:
        """Who makes what just now."""
        return self._leases_in(self.settings.leases) if self.settings.leases else self.local_leases

    @functools.cached_property
    def local_leases(self) -> Leases:
        """The same among those who use the local store."""
        return self._leases_in(f"sqlite:///{self.settings.store}/leases.db")

    def _leases_in(self, url: str) -> Leases:
        from ..cache.leases import Leases

        return Leases(url, self.settings.lease_expiry)

    @functools.cached_property
    def catalog(self) -> Catalog:
        """Registered environments."""
        from ..config.catalog import open_catalog

        return open_catalog(self.settings.catalog or f"sqlite:///{self.settings.store}/catalog.db")

    def catalog_of(self, registry: str | None) -> Catalog:
        """The catalog that a reference means by `registry`; None means our own. Raises SettingsError."""
        from ..config.catalog import open_catalog

        others = dict(self.settings.catalogs)
        if registry is None:
            return self.catalog
        if registry not in others:
            facts = {"known": ", ".join(others) or "none"}
            hint = "name it in the setting `catalogs`, as NAME=URL"
            raise SettingsError(f"there is no catalog `{registry}`", facts=facts, hint=hint)
        return open_catalog(others[registry])

    @property
    def user(self) -> str:
        """Who asks, for records that people read."""
        return self.environ.get("LOGNAME") or self.environ.get("USER") or f"uid {os.getuid()}"

    def store(self, report: Callable[[str], None]) -> Tiers:
        """All tiers as one; `report` hears of what cannot be believed."""
        ways = Ways(eager=self.settings.fill == "eager", report=report, leases=lambda: self.leases)
        return Tiers(self.local, lambda: self.remote, ways)

    @functools.cached_property
    def recipe(self) -> Recipe:
        """How layers are made."""
        own = self.settings
        budget = Budget(own.bins, own.outliers, own.outlier_bytes)
        return Recipe(own.prefix, own.compression, own.bytecode, budget, budget)

    @functools.cached_property
    def sources(self) -> Sources:
        """Channels and indexes."""
        own = self.settings
        return Sources(
            mirrors=own.mirrors,
            default_channels=own.default_channels,
            pip_index=own.pip_index,
            pip_find_links=own.pip_find_links,
        )

    @functools.cached_property
    def transport(self) -> Transport:
        """HTTP to registries, with Docker's credentials."""
        from ..cache.transport import Transport

        return Transport(self.credentials, insecure=frozenset(self.settings.insecure))

    def credentials(self, registry: str) -> Credentials | None:
        """Docker's credentials for a registry."""
        from ..cache.credentials import find_credentials

        folder = Path(self.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
        return find_credentials(registry, folder)

    @functools.cached_property
    def registries(self) -> Registries:
        """How base images are found."""
        own = self.settings
        return Registries(self.repository, frozenset(own.insecure), self.tags, mirrors=own.image_mirrors)

    @property
    def docker_host(self) -> str | None:
        """Where the Docker Engine listens; None means its usual socket."""
        return self.environ.get("DOCKER_HOST")

    @property
    def docker_certificates(self) -> Path | None:
        """TLS certificates for it, by Docker's own variables."""
        folder = self.environ.get("DOCKER_CERT_PATH")
        return Path(folder) if folder and self.environ.get("DOCKER_TLS_VERIFY") else None

    @property
    def engine(self) -> Access:
        """The Docker Engine, for Dockerfiles."""
        from ..builders.docker_access import Access

        host, network = self.docker_host, self.settings.docker_network
        found = self.credentials
        return Access(host, self.docker_certificates, network, environ=self.environ, credentials=found)

    def repository(self, reference: Reference) -> Repository:
        """The repository a reference is in."""
        from ..cache.registry import Repository

        return Repository.of(self.transport, reference)

    def origins(self, reference: Reference) -> Origins:
        """Where blobs are known to be in the registry of `reference`."""
        from ..cache.origins import Origins

        tier = self._tier_in(reference.registry)
        return Origins(self.local, reference.registry, tier, leases=self.local_leases)

    @property
    def tier_repositories(self) -> list[Reference]:
        """Where those remote tiers are that live in a registry."""
        places = {"workspace": self.settings.workspace, "global": self.settings.global_}
        named = ((name, place) for name, place in places.items() if place and "://" not in place)
        return [tier_reference(name, place) for name, place in named]

    def _tier_in(self, registry: str) -> str | None:
        return next((tier.repository for tier in self.tier_repositories if tier.registry == registry), None)

    def world(self, request: Request, report: Callable[[str], None]) -> World:
        """What resolving may ask."""
        own = self.settings
        return World(
            self.store(report),
            self.registries,
            self.sources,
            Policy.parse(request.policy or own.policy),
            own.platform,
            own.cuda,
            _normal(request.allow_sdist),
            around=request.around,
            report=report,
        )


def tier_reference(name: str, place: str) -> Reference:
    """The repository that setting `name` puts a tier in. Raises SettingsError."""
    from ..cache.reference import Reference

    hint = "write HOST/REPOSITORY or s3://BUCKET/PREFIX"
    facts: dict[str, object] = {"where": f"setting `{name}`", "found": place}
    try:
        reference = Reference.parse(place)
    except SettingsError as error:
        raise SettingsError("a tier's place makes no sense", facts=error.facts | facts, hint=hint) from error
    if reference.digest or place != reference.name:
        raise SettingsError("a tier is HOST/REPOSITORY, without a tag", facts=facts, hint=hint)
    return reference


def _normal(names: frozenset[str]) -> frozenset[str]:
    if not names:
        return names
    from ..config.pip_line import normal_name  # its patterns take 5 ms to compile

    return frozenset(map(normal_name, names))


def open_workspace(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Workspace:
    """The workspace of this process's environment and folder. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    return Workspace(load_settings(environ, folder or Path.cwd()), environ)
