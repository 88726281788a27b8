"""46elks as a service: its address, the credentials for it, and the origin of its webhooks.

Settings need these; nothing here loads an HTTP client.
"""

from dataclasses import dataclass
from ipaddress import ip_network

from pydantic import SecretStr

from elks_mcp.runtime.addresses import Networks

DEFAULT_BASE_URL = "https://api.46elks.com/a1"

WEBHOOK_SOURCES: Networks = tuple(
    ip_network(each) for each in ("176.10.154.199", "85.24.146.132", "185.39.146.243", "2001:9b0:2:902::199")
)
"""The addresses that 46elks calls from (https://46elks.com/docs/verify-callback-origin, read 2026-11-22).

They do not authenticate a webhook: any customer of 46elks can make 46elks call any address.
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """API username and API password of a 46elks account; its web site has another log-in."""

    username: str
    password: SecretStr
