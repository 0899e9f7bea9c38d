"""A store, and registries to fill it from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from stackr_engine import trash
from stackr_engine.image.registry.access import Access
from stackr_engine.image.registry.pulling import Pulled
from stackr_engine.image.registry.report import LayerNews
from stackr_engine.image.store import ImageStore
from stackr_engine.paths import Paths
from stackr_engine.state import State

from tests.engine.image.registry.server import FakeRegistry, serving


@dataclass
class Puller:
    """A user with a store and an environment."""

    store: ImageStore
    paths: Paths
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    news: list[LayerNews] = field(default_factory=list)

    def access(self) -> Access:
        return Access({"HOME": str(self.home), **self.environment}, lambda: None)

    def pull(self, reference: str, platform: str = "") -> Pulled:
        return self.store.pull(reference, self.access(), self.news.append, platform)

    def push(self, reference: str) -> str:
        return self.store.push(reference, self.access(), self.news.append)

    def settings(self, text: str) -> None:
        """Write the configuration file."""
        file = self.home / "registries.toml"
        file.write_text(text)
        self.environment["STACKR_REGISTRIES"] = str(file)

    def files(self, reference: str) -> Mapping[str, bytes]:
        """Return what the image's layers hold."""
        found: dict[str, bytes] = {}
        for lower in self.store.resolve(reference, Path("/")).lowers:
            for path in Path(lower).rglob("*"):
                if path.is_file():
                    found.setdefault(str(path.relative_to(lower)), path.read_bytes())
        return found

    def partial(self) -> list[Path]:
        """Return the downloads that broke off."""
        return list((self.paths.state / "images/partial").glob("*"))


@pytest.fixture
def user(paths: Paths, tmp_path: Path) -> Iterator[Puller]:
    home = tmp_path / "home"
    home.mkdir()
    state = State(paths.database)
    yield Puller(ImageStore(paths, state), paths, home)
    trash.wait(paths)
    state.close()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving() as registry:
        yield registry


@pytest.fixture
def second() -> Iterator[FakeRegistry]:
    with serving() as registry:
        yield registry
