"""Image references as Docker Hub names them: `nginx` is `docker.io/library/nginx:latest`."""

import re
from dataclasses import dataclass

from stackr_schemas.errors import StackrError

_DOMAIN = re.compile(r"(?:[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_HUB = "docker.io"
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in full; `tag` is empty only where there is a `digest`."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def recorded(self) -> "Reference":
        """The name that the store has it under: with a digest, the tag says nothing."""
        if not self.digest:
            return self
        return Reference(self.registry, self.repository, digest=self.digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    @property
    def familiar(self) -> str:
        """The short spelling that people write."""
        return str(self).removeprefix(f"{_HUB}/").removeprefix("library/")


def parse_reference(text: str) -> Reference:
    """Complete a name; raise StackrError where it cannot be one."""
    rest, _, digest = text.partition("@")
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise _invalid(text, f'"{digest}" is no sha256 digest')
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        name, tag = rest, ""
    if (colon and name != rest) and not _TAG.fullmatch(tag):
        raise _invalid(text, f'"{tag}" cannot be a tag')
    registry, repository = _split_name(name)
    if not _REPOSITORY.fullmatch(repository) or not _DOMAIN.fullmatch(registry):
        raise _invalid(text, "repository names are lower case, with . _ - inside and / between")
    if len(f"{registry}/{repository}") > _MAX_NAME:
        raise _invalid(text, f"it is longer than {_MAX_NAME} characters")
    if re.fullmatch(r"[0-9a-f]{64}", name):
        raise _invalid(text, "64 hexadecimal digits are an id")
    return Reference(registry, repository, tag or ("" if digest else "latest"), digest)


def id_prefix(text: str) -> str:
    """Return the hexadecimal digits of what may be a (shortened) image id, else nothing."""
    match = _ID.fullmatch(text)
    return match[1] if match else ""


def _split_name(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_registry = slash and (
        any(sign in first for sign in ".:[") or first == "localhost" or first != first.lower()
    )
    registry, repository = (first, rest) if is_registry else (_HUB, name)
    if registry == "index.docker.io":
        registry = _HUB
    if registry == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository


def _invalid(text: str, reason: str) -> StackrError:
    return StackrError(f'"{text}" is not an image name: {reason}', hint="write it as name:tag")
