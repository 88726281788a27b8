"""Read the forms of webhooks, which anyone on the network can send."""

from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from elks_mcp.app import App
from elks_mcp.runtime.addresses import LOOPBACK, find_caller, is_in, is_loopback

_MAX_BODY_BYTES = 64 * 1024
_MAX_FIELDS = 64


class WebhookDropped(Exception):
    """A webhook is dropped for good. The message is the reason, for the log."""


def check_source(app: App, scope: Scope, headers: Headers) -> None:
    """Check that a webhook comes from an address of 46elks.

    Raises:
        WebhookDropped: it does not.
    """
    settings = app.configuration.settings
    is_here = app.policy.simulated or is_loopback(settings.base_url)
    sources = settings.webhook_sources + (LOOPBACK if is_here else ())
    peer = scope["client"][0] if scope.get("client") else ""
    caller = find_caller(peer, headers.getlist("x-forwarded-for"), settings.trusted_proxies)
    if caller is None or not is_in(caller, sources):
        raise WebhookDropped("it does not come from an address of 46elks")


async def read_form(headers: Headers, receive: Receive) -> dict[str, str]:
    """Return the fields of the form. The caller limits the time that it may take to arrive.

    Raises:
        WebhookDropped: it is not a form, is too large, or has a field twice.
    """
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise WebhookDropped("its body is not a form")
    body, is_whole = bytearray(), False
    while not is_whole:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or len(body) > _MAX_BODY_BYTES:
            raise WebhookDropped("its body is too large, or was cut off")
        is_whole = not message.get("more_body")
    return _parse_form(bytes(body))


def _parse_form(body: bytes) -> dict[str, str]:
    text = body.decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise WebhookDropped("it has too many fields") from None
    form = {name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in pairs}
    if len(form) != len(pairs):
        raise WebhookDropped("it has a field twice")
    return form
