"""Addresses: which of them mean this machine, and which mean the same."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit, urlunsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")


def is_loopback(url: str) -> bool:
    """Return whether a URL points at this machine, where no proxy belongs in between."""
    return is_this_machine(urlsplit(url).hostname or "")


def is_this_machine(host: str) -> bool:
    """Return whether a host, with or without brackets, is `localhost` or a loopback address."""
    address = parse_address(host.strip("[]"))
    return address.is_loopback if address else host == "localhost"


def normalize_url(url: str) -> str:
    """Return the one spelling of a URL, so that two that mean the same are equal (RFC 3986, 6.2).

    Scheme and host are lower-case, `localhost` stands for every name of this machine, and a default port, a
    trailing slash, dot segments and needless percent-encoding are left out. A URL that cannot be read is
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


def parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a host is, an IPv4 one also if written as IPv6; None for a name."""
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
