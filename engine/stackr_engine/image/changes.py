"""Changes to an image's config, written as in a Dockerfile: `CMD ["/bin/tool"]`, `ENV A=b`."""

import json
import shlex
from collections.abc import Callable, Iterable

from stackr_schemas.errors import StackrError
from stackr_schemas.image import ImageConfig

_SHELL = ("/bin/sh", "-c")


def changed(config: ImageConfig, changes: Iterable[str]) -> ImageConfig:
    """Apply instructions in their order; raise StackrError for one that is not supported."""
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        apply = _INSTRUCTIONS.get(word.upper())
        if apply is None:
            known = ", ".join(_INSTRUCTIONS)
            raise StackrError(f"--change {word} is not supported", hint=f"use one of {known}")
        try:
            config = config.model_copy(update=apply(config, rest.strip()))
        except ValueError as error:
            hint = "write it as in a Dockerfile"
            raise StackrError(f"--change {change}: {error}", hint=hint) from error
    return config


def _command(text: str) -> tuple[str, ...]:
    """Read a list in JSON, or else a line for the shell."""
    if not text.startswith("["):
        return (*_SHELL, text) if text else ()
    words = json.loads(text)
    if not all(isinstance(word, str) for word in words):
        raise ValueError("the list has something else than strings in it")
    return tuple(words)


def _pairs(text: str) -> dict[str, str]:
    """Read `A=b C="d e"`, or the old form `A b`."""
    if not text:
        raise ValueError("a name and a value are missing")
    words = shlex.split(text)
    if "=" not in words[0]:
        name, _, value = text.partition(" ")
        return {name: value.strip()}
    if bad := [word for word in words if "=" not in word]:
        raise ValueError(f"{bad[0]} has no =")
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _env(config: ImageConfig, text: str) -> dict[str, object]:
    variables = dict(variable.split("=", 1) for variable in config.env) | _pairs(text)
    return {"env": tuple(f"{name}={value}" for name, value in variables.items())}


def _expose(config: ImageConfig, text: str) -> dict[str, object]:
    ports = [port if "/" in port else f"{port}/tcp" for port in text.split()]
    return {"exposed_ports": tuple(sorted({*config.exposed_ports, *ports}))}


def _volume(config: ImageConfig, text: str) -> dict[str, object]:
    paths = _command(text) if text.startswith("[") else tuple(text.split())
    return {"volumes": tuple(sorted({*config.volumes, *paths}))}


_INSTRUCTIONS: dict[str, Callable[[ImageConfig, str], dict[str, object]]] = {
    "CMD": lambda config, text: {"cmd": _command(text)},
    "ENTRYPOINT": lambda config, text: {"entrypoint": _command(text)},
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": lambda config, text: {"labels": config.labels | _pairs(text)},
    "STOPSIGNAL": lambda config, text: {"stop_signal": text},
    "USER": lambda config, text: {"user": text},
    "VOLUME": _volume,
    "WORKDIR": lambda config, text: {"working_dir": text},
}
