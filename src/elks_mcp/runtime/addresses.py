"""Network addresses: this machine's, URLs that are equal, and the origin of a request."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit, urlunsplit

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

LOOPBACK: Networks = (ip_network("127.0.0.0/8"), ip_network("::1"))

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")

_SET_BY_PROXIES = re.compile(
    r"forwarded|proxy|^via$|^cdn-loop$|(^|[-_]|client|remote|source)(ip|addr|address)$"
    r"|^x-(url-)?scheme$|^front-end-https$"
    r"|^(cf|fastly|x-amzn|x-appengine|x-arr|x-azure|x-envoy|x-original|x-real)-"
)
"""Names of headers that proxies and load balancers add, and clients do not."""

_CACHED = 128
"""Results that are cached; few, since a stranger chooses what they are for."""


# ── URLs ──


def is_loopback(url: str) -> bool:
    """Return whether a URL points at this machine, where no proxy belongs in between."""
    return is_this_machine(urlsplit(url).hostname or "")


def is_this_machine(host: str) -> bool:
    """Return whether a host, with or without brackets, is `localhost` or a loopback address."""
    address = parse_address(host.strip("[]"))
    return address.is_loopback if address else host == "localhost"


def find_origin(url: str) -> str:
    """Return the beginning of a URL that has a host: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def normalize_url(url: str) -> str:
    """Return the normal spelling of a URL, the same for all URLs that are equal (RFC 3986, 6.2).

    Scheme and host are lower-case, `localhost` replaces every name of this machine, and a default port, a
    trailing slash, dot segments and needless percent-encoding are removed. A URL that cannot be read is
    returned without surrounding spaces.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = _normalize_host(parts.hostname or ""), parts.port
    except ValueError:
        return url
    netloc = host if port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{host}:{port}"
    return urlunsplit((parts.scheme, netloc, _normalize_path(parts.path), parts.query, parts.fragment))


def _normalize_host(host: str) -> str:
    host = host.rstrip(".")
    if is_this_machine(host):
        return "localhost"
    if address := parse_address(host):
        return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


@lru_cache(_CACHED)
def parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return a host that is an IP address, or None for a name. Mapped IPv4 is unmapped."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _normalize_path(path: str) -> str:
    kept: list[str] = []
    for segment in re.sub("%[0-9A-Fa-f]{2}", _normalize_escape, path).split("/")[1:]:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    return "/".join(["", *kept]).rstrip("/")


def _normalize_escape(found: re.Match[str]) -> str:
    char = chr(int(found.group()[1:], 16))
    return char if _UNRESERVED.fullmatch(char) else found.group().upper()


# ── the origin of a request ──


def find_caller(peer: str, forwarded_for: Sequence[str], proxies: Networks) -> Address | None:
    """Return the client's address behind the operator's proxies, or None if it cannot be read.

    It is the peer or, if the peer is one of `proxies`, the last address in `X-Forwarded-For` that is not one
    of them. The caller may have written the entries before that one, so they are ignored.
    """
    chain = [part for value in forwarded_for for part in value.split(",")]
    caller = parse_address(peer.strip())
    while caller is not None and is_in(caller, proxies) and chain:
        caller = parse_address(chain.pop().strip())
    return caller


def is_forwarded(headers: Iterable[str], http_version: str) -> bool:
    """Return whether a request looks as if a proxy passed it on.

    Some proxies speak HTTP/1.0 to the server behind them (nginx by default), and today's clients do not.

    Args:
        headers: the names of the request's headers, in lower case.
        http_version: as ASGI writes it, "1.0" or "1.1".
    """
    return http_version == "1.0" or any(map(_is_set_by_proxy, headers))


@lru_cache(_CACHED)
def _is_set_by_proxy(name: str) -> bool:
    return _SET_BY_PROXIES.search(name) is not None


def is_from_this_machine(peer: str, headers: Iterable[str], http_version: str) -> bool:
    """Return whether a program on this machine made a request, without a proxy in between."""
    return is_direct_from(LOOPBACK, peer, headers, http_version)


def is_direct_from(networks: Networks, peer: str, headers: Iterable[str], http_version: str) -> bool:
    """Return whether a request comes from one of these networks, without a proxy in between."""
    address = parse_address(peer.strip())
    return address is not None and is_in(address, networks) and not is_forwarded(headers, http_version)


def is_in(address: Address, networks: Networks) -> bool:
    """Return whether an address is in one of these networks."""
    return any(address in network for network in networks)
