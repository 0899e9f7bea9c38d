"""Relative paths in a tree, made absolute (or relative to another folder)."""

import posixpath
from collections.abc import Callable
from typing import Any

from stackr_schemas.compose.mount import has_drive

from stackr.load.tree import Map, Seq, entries_in, maps_in

REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")


class Paths:
    """Resolves against a folder; `home` stands for `~`."""

    def __init__(self, base: str, home: str, real: Callable[[str], str] | None = None):
        self.base = base
        self.home = home
        self.real = real or (lambda path: path)

    def absolute(self, path: str) -> str:
        """Resolve one path; an empty one stays empty."""
        expanded = self.expanded(path)
        if not expanded or expanded.startswith("/"):
            return expanded
        return posixpath.normpath(posixpath.join(self.base, expanded))

    def expanded(self, path: str) -> str:
        """Replace a leading `~`."""
        if path == "~" or path.startswith("~/"):
            return self.home + path[1:] if self.home else path
        return path

    def context(self, path: str) -> str:
        """Resolve a build context, which may also be an address or a service."""
        is_elsewhere = "://" in path or path.startswith(("service:", *REMOTE))
        return path if is_elsewhere else self.absolute(path)

    def host_path(self, path: str) -> str:
        """Resolve a path on the host; Windows paths stay."""
        return path if has_drive(path) or path.startswith("\\\\") else self.absolute(path)

    def watched(self, path: str) -> str:
        """Resolve a watched path, through symbolic links."""
        return self.real(self.absolute(path)) if path else path

    def resolve(self, tree: Map) -> None:
        """Resolve every path in a tree, in place."""
        for service in maps_in(tree, "services"):
            self._service(service)
        for section in ("configs", "secrets"):
            for resource in maps_in(tree, section):
                _apply(resource, "file", self.host_path)
        for volume in maps_in(tree, "volumes"):
            self._volume(volume)

    def _service(self, service: Map) -> None:
        build = service.get("build")
        _apply(build, "context", self.context)
        contexts = build.get("additional_contexts") if isinstance(build, Map) else None
        for name in contexts if isinstance(contexts, Map) else ():
            _apply(contexts, name, self.context)
        for env_file in entries_in(service, "env_file"):
            _apply(env_file, "path", self.absolute)
        label_files = service.get("label_file")
        if isinstance(label_files, Seq):
            label_files[:] = [self.absolute(f) if isinstance(f, str) else f for f in label_files]
        _apply(service.get("extends"), "file", self.absolute)
        for watch in entries_in(service.get("develop"), "watch"):
            _apply(watch, "path", self.watched)
        for mount in entries_in(service, "volumes"):
            if mount.get("type") == "bind":
                _apply(mount, "source", self.host_path)

    def _volume(self, volume: Map) -> None:
        options = volume.get("driver_opts")
        if (
            volume.get("driver") == "local"
            and isinstance(options, Map)
            and options.get("o") == "bind"
        ):
            _apply(options, "device", self.host_path)


def _apply(owner: Any, key: str, resolve: Callable[[str], str]) -> None:
    if isinstance(owner, Map) and isinstance(owner.get(key), str):
        owner[key] = resolve(owner[key])
