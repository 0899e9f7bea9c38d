"""Who the user is at each registry: Docker's `config.json`, and its credential helpers.

https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

import base64
import binascii
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackr_schemas.errors import StackrError

from stackr_engine.image.registry.settings import HUB

_HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = {HUB, "index.docker.io", "registry-1.docker.io"}
_TOKEN_USER = "<token>"
_HELPER_TIMEOUT = 60
"""Seconds; a helper may ask its user something."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user at a registry; with an identity token, that stands for both."""

    username: str
    password: str
    identity_token: str = ""

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


class DockerConfig:
    """The `config.json` of the user whose environment this is."""

    def __init__(self, environment: Mapping[str, str]):
        self._environment = environment
        folder = environment.get("DOCKER_CONFIG", "")
        home = environment.get("HOME", "")
        self.path = Path(folder or f"{home or '/nonexistent'}/.docker") / "config.json"

    def credentials(self, host: str) -> Credentials | None:
        """Return what is known for a registry."""
        tree = self._read()
        helper = self._helper(tree, host)
        if helper:
            return self._ask_helper(helper, key_of(host))
        auths = _dict(tree, "auths")
        found = auths.get(key_of(host)) or _by_host(auths, host)
        return self._decoded(found, host) if isinstance(found, dict) else None

    def store(self, host: str, credentials: Credentials) -> str:
        """Keep credentials; return the helper that has them now, or nothing for the file."""
        tree = self._read()
        helper = self._helper(tree, host)
        if helper:
            entry = {"ServerURL": key_of(host), "Username": credentials.username}
            self._run(helper, "store", json.dumps(entry | {"Secret": credentials.password}))
            row: dict[str, str] = {}
        else:
            row = {"auth": credentials.basic.removeprefix("Basic ")}
        tree["auths"] = _dict(tree, "auths") | {key_of(host): row}
        self._write(tree)
        return helper

    def erase(self, host: str) -> bool:
        """Forget credentials; tell whether there were any."""
        tree = self._read()
        helper = self._helper(tree, host)
        if helper:
            self._run(helper, "erase", key_of(host), may_fail=True)
        auths = dict(_dict(tree, "auths"))
        gone = [
            key for key in auths if key == key_of(host) or _host_of(key) == _host_of(key_of(host))
        ]
        for key in gone:
            del auths[key]
        if gone:
            tree["auths"] = auths
            self._write(tree)
        return bool(gone)

    def _read(self) -> dict[str, Any]:
        try:
            tree = json.loads(self.path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise StackrError(f"{self.path}: {error}", hint="mend or remove it") from error
        if not isinstance(tree, dict):
            raise StackrError(f"{self.path} is not a JSON object", hint="mend or remove it")
        return tree

    def _write(self, tree: dict[str, Any]) -> None:
        """Put the file in place whole; its owner stays who it was."""
        if not (self._environment.get("HOME") or self._environment.get("DOCKER_CONFIG")):
            raise StackrError("there is no place for credentials", hint="set HOME or DOCKER_CONFIG")
        path = self.path.resolve()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        owner = (path if path.exists() else path.parent).stat()
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                json.dump(tree, file, indent="\t")
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _helper(self, tree: dict[str, Any], host: str) -> str:
        helpers = _dict(tree, "credHelpers")
        for key in (key_of(host), host):
            if isinstance(helpers.get(key), str):
                return str(helpers[key])
        found = tree.get("credsStore", "")
        return found if isinstance(found, str) else ""

    def _ask_helper(self, helper: str, server: str) -> Credentials | None:
        answer = self._run(helper, "get", server, may_fail=True)
        try:
            tree = json.loads(answer)
            name, secret = str(tree["Username"]), str(tree["Secret"])
        except (ValueError, KeyError, TypeError):
            if "credentials not found" in answer:
                return None
            said = " ".join(answer.split())[:200]
            hint = f"run `docker-credential-{helper} get` by hand to see why"
            raise StackrError(
                f"credential helper {helper}: {said or 'no answer'}", hint=hint
            ) from None
        return Credentials("", "", secret) if name == _TOKEN_USER else Credentials(name, secret)

    def _run(self, helper: str, verb: str, text: str, *, may_fail: bool = False) -> str:
        name = f"docker-credential-{helper}"
        program = None if "/" in helper else shutil.which(name, path=self._environment.get("PATH"))
        if program is None:
            hint = f"{self.path} names it; install it, or remove it there"
            raise StackrError(f"there is no credential helper {name}", hint=hint)
        try:
            done = subprocess.run(
                [program, verb], input=text, capture_output=True, text=True, cwd="/",
                env=dict(self._environment), timeout=_HELPER_TIMEOUT,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StackrError(f"{name}: {error}") from error
        if done.returncode and not may_fail:
            raise StackrError(f"{name} {verb}: {(done.stdout or done.stderr).strip()[:200]}")
        return done.stdout

    def _decoded(self, entry: dict[str, Any], host: str) -> Credentials | None:
        token = entry.get("identitytoken") or ""
        try:
            pair = base64.b64decode(entry.get("auth") or "", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, TypeError) as error:
            hint = f"`stackr login {host}` again"
            raise StackrError(f"{self.path}: the entry of {host} is damaged", hint=hint) from error
        name, _, password = pair.partition(":")
        name, password = entry.get("username") or name, entry.get("password") or password
        if not (name or token):
            return None
        return Credentials(name, password.rstrip("\0"), str(token))


def key_of(host: str) -> str:
    """Return the name that Docker's file has for a registry."""
    return _HUB_KEY if host in _HUB_HOSTS else host


def _host_of(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _by_host(auths: Mapping[str, Any], host: str) -> Any:
    return next(
        (entry for key, entry in auths.items() if _host_of(key) == _host_of(key_of(host))), None
    )


def _dict(tree: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key)
    return found if isinstance(found, dict) else {}
