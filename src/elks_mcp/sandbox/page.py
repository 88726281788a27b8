"""The phone page: its files, and its content security policy."""

from importlib.resources import files

from starlette.responses import Response

_FOLDER = files("elks_mcp.sandbox").joinpath("static")
_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
"""By ending; the machine's own table, which Windows keeps in the registry, may say otherwise."""

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def load_page(token: str) -> Response:
    """Return the page, which knows the `token` that approving takes."""
    html = _FOLDER.joinpath("index.html").read_text("utf-8").replace("{{token}}", token)
    return Response(html, media_type=_TYPES["html"], headers=_HEADERS)


def load_file(name: str) -> Response | None:
    """Return a style or script of the page, or None if it has none of this name."""
    ending = name.rpartition(".")[2]
    if ending not in {"css", "js"} or name not in {file.name for file in _FOLDER.iterdir()}:
        return None
    content = _FOLDER.joinpath(name).read_bytes()
    return Response(content, media_type=_TYPES[ending], headers=_HEADERS)
