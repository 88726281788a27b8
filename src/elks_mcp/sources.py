"""Who calls: the address a request really comes from, past one's own proxies."""

from collections.abc import Sequence
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
