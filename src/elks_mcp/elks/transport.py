"""The one road to 46elks: credentials, time limits, and what each way of failing means.

Only `client` (what is free) and `dispatch` (what costs) may use it. What matters about a failed
request is whether it may have reached 46elks: `Unreachable` says surely not, `NoAnswer` maybe.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache
from ssl import SSLContext

import httpx2

from elks_mcp.elks.handover import SendGate, SendPermission, require
from elks_mcp.elks.service import DEFAULT_BASE_URL, Credentials
from elks_mcp.elks.wire.fields import build_unreadable
from elks_mcp.elks.wire.refusals import LONGEST_REFUSAL, parse_refusal
from elks_mcp.errors import ElksError, NoAnswer, Unreachable
from elks_mcp.runtime.addresses import is_loopback
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.metrics import Counters

_CONNECTING = 0.4
"""The share of the time limit for connecting; TLS may take as much again, and both must fit in
before the hard limit, so that running into the limit means that the request was under way."""

_QUEUEING = 0.1
"""The share for waiting until a connection may be opened, for the same reason."""

_SHORTEST_SECRET = 4
"""46elks' passwords have 32 characters; taking one letter out of every sentence would hide nothing."""

_LARGEST_ANSWER = 4 * 1024 * 1024


class Api:
    """Requests to 46elks. Each takes `timeout` at most, whatever the other side does."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        base_url: str = DEFAULT_BASE_URL,
        timeout: timedelta = timedelta(seconds=10),
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._counters = counters or Counters()
        self.skew = timedelta()
        """How far 46elks' clock is ahead of ours, by its last answer."""
        self._credentials = credentials
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._transport = transport

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Ask for something; once more if the connection was cut, within the same time limit.

        Raises:
            ProviderError: it did not come.
        """
        return await self._ask("GET", path, params=query)

    async def ask(self, path: str, form: Mapping[str, str]) -> bytes:
        """Post a form that costs and changes nothing; once more if the connection was cut, as `get` does.

        Raises:
            ProviderError: no answer came.
        """
        return await self._ask("POST", path, data=form)

    async def post(self, path: str, form: Mapping[str, str], *, right: SendPermission | None = None) -> bytes:
        """Post a form, once and never again, over a connection of its own.

        An idle connection may be closed by the other side just when it is used again, and then
        nobody could say whether the form arrived. `right` is asked when the connection stands, just
        before the first byte of the request, and around the form itself (see `handover`); a process that
        was frozen until then may not go on.

        Raises:
            TooLate: the right is gone.
            ProviderError: it was refused, or nobody knows.
        """
        if right:
            # Over a network it is asked whole when the connection stands; within this process there is none.
            require(right.is_in_time() if self._transport is None else await right.holds())
        async with self._measured("POST", path), self._within_limit():
            return await self._request(self._fresh, "POST", path, data=form, right=right)

    async def aclose(self) -> None:
        """Close what is open; what is asked for later opens anew."""
        for name in ("_kept", "_fresh"):
            if client := self.__dict__.pop(name, None):
                await client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> bytes:
        async with self._measured(method, path), self._within_limit():
            try:
                return await self._request(self._kept, method, path, params=params, data=data)
            except _Cut:
                return await self._request(self._fresh, method, path, params=params, data=data)

    @asynccontextmanager
    async def _measured(self, method: str, path: str) -> AsyncIterator[None]:
        """Count and time a request, by the first part of its path: the rest may be a number."""
        began, outcome = self._clock.counted(), "cancelled"
        try:
            yield
            outcome = "ok"
        except ElksError as error:
            outcome = error.code
            raise
        finally:
            what = {"method": method.lower(), "endpoint": path.strip("/").partition("/")[0]}
            seconds = self._clock.counted() - began
            self._counters.observe("elks_mcp_provider_request_duration_seconds", seconds, **what)
            self._counters.count("elks_mcp_provider_requests_total", **what, outcome=outcome)

    @asynccontextmanager
    async def _within_limit(self) -> AsyncIterator[None]:
        try:
            with self._clock.fail_after(self._timeout):
                yield
        except TimeoutError:
            raise self._no_answer() from None

    def _no_answer(self) -> NoAnswer:
        return NoAnswer(f"46elks did not answer within {self._timeout.total_seconds():g} seconds.")

    async def _request(
        self,
        client: httpx2.AsyncClient,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        right: SendPermission | None = None,
    ) -> bytes:
        extensions = {"trace": SendGate(right)} if right else None
        url = _read_url(self._base_url + path)
        try:
            async with client.stream(
                method, url, params=params, data=data, extensions=extensions
            ) as response:
                self._read_clock(response)
                body = await (_read(response) if response.is_success else _read_refusal(response))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise Unreachable(f"46elks cannot be reached: {_reason(error)}.") from None
        except httpx2.TimeoutException:
            raise self._no_answer() from None
        except httpx2.DecodingError:
            raise build_unreadable("it cannot be unpacked") from None
        except (httpx2.HTTPError, OSError):  # TLS lets some of its own errors through, which are OSErrors
            raise _Cut("The connection to 46elks was cut before its answer was complete.") from None
        # Never seen, but any 2xx is a success: 201 must not be taken for a no.
        if response.is_success:
            return body
        raise parse_refusal(response.status_code, response.headers, body, self._secrets)

    def _read_clock(self, response: httpx2.Response) -> None:
        """Note how far 46elks' clock is ahead of ours; whole seconds are all that it tells."""
        with suppress(ValueError, TypeError):
            theirs = parsedate_to_datetime(response.headers.get("date", ""))
            self.skew = theirs.astimezone(UTC) - self._clock.now()

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        """What no answer may repeat: the password, and the header it is sent in."""
        password = self._credentials.password.get_secret_value()
        pair = b64encode(f"{self._credentials.username}:{password}".encode()).decode()
        return (pair.rstrip("="), password) if len(password) >= _SHORTEST_SECRET else ()

    @cached_property
    def _kept(self) -> httpx2.AsyncClient:
        return self._open(keepalive=5)

    @cached_property
    def _fresh(self) -> httpx2.AsyncClient:
        return self._open(keepalive=0)

    @cached_property
    def _tls(self) -> SSLContext:
        """The certificates we trust. Read when first needed, and once: it takes a while."""
        return httpx2.create_ssl_context(trust_env=self._trust_env)

    @cached_property
    def _trust_env(self) -> bool:
        return not is_loopback(self._base_url)

    def _open(self, *, keepalive: int) -> httpx2.AsyncClient:
        username, password = self._credentials.username, self._credentials.password.get_secret_value()
        seconds = self._timeout.total_seconds()
        try:
            return httpx2.AsyncClient(
                auth=httpx2.BasicAuth(username, password),
                # Writing and reading have no limit of their own: the whole request has one.
                timeout=httpx2.Timeout(None, connect=seconds * _CONNECTING, pool=seconds * _QUEUEING),
                limits=httpx2.Limits(max_connections=100, max_keepalive_connections=keepalive),
                headers={"accept": "application/json, text/plain"},
                follow_redirects=False,
                verify=self._tls if self._transport is None else True,
                trust_env=self._trust_env,
                transport=self._transport,
            )
        except (ValueError, OSError, ImportError, httpx2.InvalidURL):
            # Their words can hold the proxy's password.
            raise Unreachable(
                "46elks cannot be reached: the proxy or certificates named in the environment are no use.",
                hint="Check HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR of the server's start.",
            ) from None


class _Cut(NoAnswer):
    """The connection broke; a free request may be made again at once."""


@lru_cache(maxsize=64)
def _read_url(url: str) -> httpx2.URL:
    """Read a URL; to put one together for each request would take as long as to read the answer."""
    return httpx2.URL(url)


async def _read(response: httpx2.Response) -> bytes:
    """Read an answer whole, unless it is larger than any of 46elks'."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise build_unreadable("it is far too large")
    return bytes(body)


async def _read_refusal(response: httpx2.Response) -> bytes:
    """Read what there is of a refusal: its status counts, even where its words are cut off."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LONGEST_REFUSAL:
                break
    except (httpx2.HTTPError, OSError):
        pass
    return bytes(body)


def _reason(error: httpx2.TransportError) -> str:
    """Say why no connection came about, in words that carry no address or secret."""
    if known := _REASONS.get(type(error)):
        return known
    words = str(error).lower()
    if "certificate" in words:
        return "its certificate is not trusted here"
    if "ssl" in words:
        return "no secure connection could be made"
    if "name" in words or "getaddrinfo" in words or "nodename" in words:
        return "its name cannot be looked up"
    return "no connection could be made"


_REASONS: dict[type[httpx2.TransportError], str] = {
    httpx2.PoolTimeout: "too many requests are under way",
    httpx2.ConnectTimeout: "connecting took too long",
    httpx2.ProxyError: "the proxy did not let it through",
}
