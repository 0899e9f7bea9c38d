"""Where the engine keeps its things on this host."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

DEFAULT_STATE = Path("/var/lib/stackr")
DEFAULT_RUN = Path("/run/stackr")


@dataclass(frozen=True)
class Paths:
    """The state folder (survives a reboot) and the run folder (does not), and names made of them.

    Several engines can live on one host, each with folders of its own: everything with a
    host-wide name (links, nftables tables, cgroups) carries `tag` or `instance`.
    """

    state: Path = DEFAULT_STATE
    run: Path = DEFAULT_RUN

    @classmethod
    def from_environment(cls) -> "Paths":
        """Read STACKR_STATE_DIR and STACKR_RUN_DIR, which exist for tests and second engines."""
        return cls(
            Path(os.environ.get("STACKR_STATE_DIR", DEFAULT_STATE)),
            Path(os.environ.get("STACKR_RUN_DIR", DEFAULT_RUN)),
        )

    @cached_property
    def tag(self) -> str:
        """Four hexadecimal digits that tell this engine's links from another's."""
        return hashlib.sha256(f"{self.state}\0{self.run}".encode()).hexdigest()[:4]

    @cached_property
    def instance(self) -> str:
        """`stackr` for the host's default engine, `stackr-TAG` for any other."""
        is_default = (self.state, self.run) == (DEFAULT_STATE, DEFAULT_RUN)
        return "stackr" if is_default else f"stackr-{self.tag}"

    @property
    def socket(self) -> Path:
        """The resident's socket."""
        return self.run / "resident.sock"

    @property
    def database(self) -> Path:
        """The state database."""
        return self.state / "state.db"

    @property
    def trash(self) -> Path:
        """What is renamed here is deleted in the background: `rm -rf` never makes a user wait."""
        return self.state / "trash"

    def container(self, container_id: str) -> Path:
        """One container's folder: its log, exit status, upper layer and engine-owned files."""
        return self.state / "containers" / container_id

    def netns(self, container_id: str) -> Path:
        """Where the container's network namespace is bind-mounted."""
        return self.run / "netns" / container_id

    def volume(self, name: str) -> Path:
        """One named volume's folder; its content is in `_data` below it."""
        return self.state / "volumes" / name

    def make(self) -> None:
        """Create the folders, closed to other users."""
        for folder in (self.state, self.run, self.trash):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("containers", "volumes", "images"):
            (self.state / name).mkdir(mode=0o700, exist_ok=True)
        (self.run / "netns").mkdir(mode=0o700, exist_ok=True)
