"""Who calls: the address a request really comes from, past one's own proxies."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

WEBHOOK_SOURCES: Networks = tuple(
    ip_network(each) for each in ("176.10.154.199", "85.24.146.132", "185.39.146.243", "2001:9b0:2:902::199")
)
"""Where 46elks calls from (https://46elks.com/docs/verify-callback-origin, read 2026-11-22).

Any customer of 46elks can make it call any address, so this keeps out strangers and proves nothing.
"""

LOOPBACK: Networks = (ip_network("127.0.0.0/8"), ip_network("::1"))


def find_caller(peer: str, forwarded_for: Sequence[str], proxies: Networks) -> Address | None:
    """Find who calls: the peer; or, where that is a proxy of ours, the last it names that is none.

    What stands further left in `X-Forwarded-For` anybody can have written. None where it makes no sense.
    """
    chain = [part for value in forwarded_for for part in value.split(",")]
    caller = _read(peer)
    while caller is not None and is_in(caller, proxies) and chain:
        caller = _read(chain.pop())
    return caller


_SET_BY_PROXIES = re.compile(
    r"forwarded|proxy|^via$|^cdn-loop$|(^|[-_]|client|remote|source)(ip|addr|address)$"
    r"|^x-(url-)?scheme$|^front-end-https$"
    r"|^(cf|fastly|x-amzn|x-appengine|x-arr|x-azure|x-envoy|x-original|x-real)-"
)
"""Names of headers that proxies and load balancers add, and clients do not."""


def is_forwarded(headers: Iterable[str], http_version: str) -> bool:
    """Return whether a request looks as if a proxy passed it on.

    Some proxies speak HTTP/1.0 to the server behind them (nginx by default), and clients of today do not.

    Args:
        headers: the names of the request's headers, in lower case.
        http_version: as ASGI writes it, "1.0" or "1.1".
    """
    return http_version == "1.0" or any(_SET_BY_PROXIES.search(name) for name in headers)


def is_from_this_machine(peer: str, headers: Iterable[str], http_version: str) -> bool:
    """Return whether a program on this machine made a request itself, without a proxy in between."""
    return is_straight_from(LOOPBACK, peer, headers, http_version)


def is_straight_from(networks: Networks, peer: str, headers: Iterable[str], http_version: str) -> bool:
    """Return whether a request comes from one of these networks, without a proxy in between."""
    address = _read(peer)
    return address is not None and is_in(address, networks) and not is_forwarded(headers, http_version)


def is_in(address: Address, networks: Networks) -> bool:
    """Tell whether an address is in one of these networks."""
    return any(address in network for network in networks)


def _read(written: str) -> Address | None:
    """Read an address; an IPv4 one in the clothes of IPv6 is an IPv4 one."""
    try:
        address = ip_address(written.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
