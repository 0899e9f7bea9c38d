"""What the user asks the loader for."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LoadOptions:
    """Files, names and switches of one load; nothing is taken from this process's environment."""

    cwd: str
    environment: dict[str, str] = field(default_factory=dict)
    """The client's variables."""
    files: tuple[str, ...] = ()
    """As given with `-f`; `-` is `stdin`."""
    stdin: str = ""
    project_name: str = ""
    project_directory: str = ""
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    interpolate: bool = True
    normalize: bool = True
    resolve_paths: bool = True
    check_consistency: bool = True
    resolve_environment: bool = True
