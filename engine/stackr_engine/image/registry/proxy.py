"""Which proxy leads to a host, by HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from stackr_schemas.errors import StackrError

from stackr_engine.image.registry.settings import is_loopback


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """Return the proxy's URL, or nothing; loopback is never asked by a proxy."""
    parts = urlsplit(url)
    name = f"{parts.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name) or ""
    if not proxy or is_loopback(parts.netloc) or _is_excepted(parts, environment):
        return ""
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    kind = urlsplit(proxy).scheme
    if kind not in ("http", "https"):
        hint = "use an http:// or https:// proxy"
        raise StackrError(f"{name.upper()}: {kind} proxies are not supported", hint=hint)
    return proxy


def _is_excepted(parts: SplitResult, environment: Mapping[str, str]) -> bool:
    text = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    name = parts.hostname or ""
    port = str(parts.port or {"http": 80, "https": 443}[parts.scheme])
    rules = (rule.strip().lower() for rule in text.split(","))
    return any(_matches(rule, name, port) for rule in rules if rule)


def _matches(rule: str, name: str, port: str) -> bool:
    if rule == "*":
        return True
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        pass
    rule_name, colon, rule_port = rule.rpartition(":")
    if colon and rule_port.isdigit():
        if rule_port != port:
            return False
        rule = rule_name.strip("[]")
    domain = rule.removeprefix("*").lstrip(".")
    return name.endswith(f".{domain}") or (name == domain and not rule.startswith((".", "*")))
