"""When an image is asked for at its registry: `pull_policy` and `--pull`."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_UNITS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_AGES = {"daily": 86400.0, "weekly": 7 * 86400.0}
_NEVER_IN_REGISTRIES = re.compile(r"rootfs:|oci:|sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class Have:
    """An image that is in the store."""

    platform: str
    checked: float | None
    """When the registry was asked for it last, in seconds since the epoch; None: never."""


@dataclass(frozen=True)
class Wish:
    """A service's image."""

    reference: str
    policy: str
    platform: str = ""


@dataclass(frozen=True)
class Pull:
    """An image to ask for at its registry."""

    reference: str
    platform: str
    is_needed: bool
    """Without it nothing can start; else what is in the store will do if there is no answer."""


def pulls_for(
    wishes: Mapping[str, Wish], have: Callable[[str], Have | None], now: float
) -> dict[str, Pull]:
    """Return what to pull, by the first service that wants it; each image once."""
    found: dict[str, Pull] = {}
    for service, wish in wishes.items():
        pull = _pull_for(wish, have, now)
        if pull is not None and pull not in found.values():
            found[service] = pull
    return found


def is_pullable(reference: str) -> bool:
    """Tell whether a registry can have this image, by its name."""
    return bool(reference) and _NEVER_IN_REGISTRIES.match(reference) is None


def refresh_age(policy: str) -> float | None:
    """Return the seconds of `daily`, `weekly` and `every_…`, None for other policies."""
    if policy.startswith("every_"):
        parts: Iterable[tuple[str, str]] = re.findall(r"([0-9]+)([wdhms])", policy)
        return float(sum(int(number) * _UNITS[unit] for number, unit in parts))
    return _AGES.get(policy)


def _pull_for(wish: Wish, have: Callable[[str], Have | None], now: float) -> Pull | None:
    if wish.policy == "never" or not is_pullable(wish.reference):
        return None
    if wish.policy == "always":
        return Pull(wish.reference, wish.platform, is_needed=True)
    known = have(wish.reference)
    if known is None or not _fits(known.platform, wish.platform):
        return Pull(wish.reference, wish.platform, is_needed=True)
    age = refresh_age(wish.policy)
    if age is None or (known.checked is not None and now - known.checked < age):
        return None
    return Pull(wish.reference, wish.platform, is_needed=False)


def _fits(offered: str, wanted: str) -> bool:
    """Tell whether a platform will do: `linux/arm64/v8` does for `linux/arm64`."""
    return not wanted or offered == wanted or offered.startswith(f"{wanted}/")
