"""The phone page and its content security policy."""

import base64
import re
from hashlib import sha256
from importlib.resources import files

from starlette.responses import HTMLResponse, Response


def load_page() -> Response:
    """Return the page with a policy that allows only its own style and script, by hash."""
    html = files("elks_mcp.sandbox").joinpath("phone.html").read_text(encoding="utf-8")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash_of('style', html)}",
            f"script-src {_hash_of('script', html)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return HTMLResponse(html, headers=headers)


def _hash_of(tag: str, html: str) -> str:
    inline = "".join(re.findall(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL))
    return f"'sha256-{base64.b64encode(sha256(inline.encode()).digest()).decode()}'"
