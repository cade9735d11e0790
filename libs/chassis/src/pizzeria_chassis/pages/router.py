"""Serves the pages of a service and what they are made of."""

import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from pizzeria_chassis.problems import not_found

__all__ = ["OPERATIONS", "Page", "pages_router"]

# Nothing from elsewhere, no inline code, no frame around it; the page talks to its own service only.
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_KIT: Final = "pizzeria_chassis.pages"
_SHARED: Final = ("pizzeria.css", "pizzeria.js", "charts.js", "vendor/chart.js/chart.umd.min.js")
_SHELL: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Mario's Pizzeria</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="assets/pizzeria.css">
{own_style}<script type="module" src="assets/{name}.js"></script>
</head>
<body data-page="{name}">
<header class="top"><strong>Mario's Pizzeria</strong><nav>{links}</nav><span id="who"></span></header>
<main id="page"><noscript>This page needs JavaScript.</noscript></main>
<div id="toasts" role="status" aria-live="polite"></div>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page at ``/pages/<name>``: the module ``<name>.js`` in ``package`` fills the shell's ``#page``.

    A ``<name>.css`` beside it is loaded too. The page itself is open and holds no data: its module asks for a
    token and calls the API with it (``assets/pizzeria.js``: ``api``, ``live``, ``signIn``, ``h``, …).

    Args:
        name: lower-case letters and dashes.
        title: as the browser and the links between pages show it.
        package: import name of the package that holds the files.
        modules: further modules beside it that it imports, ``("display-map.js",)``.
    """

    name: str
    title: str
    package: str
    modules: tuple[str, ...] = ()


OPERATIONS: Final = Page(
    "operations",
    "Operations",
    _KIT,
    ("operations-letters.js", "operations-map.js", "operations-state.js", "operations-faults.js"),
)
"""For the manager, in every service: all that is under ``/ops``."""


def pages_router(pages: Sequence[Page]) -> APIRouter:
    """Return the pages of a service; ``/`` leads to the first. Raises FileNotFoundError without a module."""
    router = APIRouter(include_in_schema=False)
    links = "".join(f'<a href="{page.name}">{escape(page.title)}</a>' for page in pages)
    assets = dict.fromkeys(_SHARED, _KIT)
    shells: dict[str, str] = {}
    for page in pages:
        assets |= dict.fromkeys((f"{page.name}.js", *page.modules), page.package)
        own_style = ""
        if _static(page.package).joinpath(f"{page.name}.css").is_file():
            assets[f"{page.name}.css"] = page.package
            own_style = f'<link rel="stylesheet" href="assets/{page.name}.css">\n'
        shells[page.name] = _SHELL.format(
            title=escape(page.title), name=page.name, links=links, own_style=own_style
        )
    for needed, package in assets.items():
        _read(package, needed)  # a page without its files must not start

    @router.get("/")
    async def first() -> Response:
        return RedirectResponse(f"pages/{pages[0].name}", 307)

    @router.get("/pages/{name}")
    async def shell(name: str) -> Response:
        if name not in shells:
            raise not_found()
        return HTMLResponse(shells[name], headers={**SECURITY_HEADERS, "Cache-Control": "no-cache"})

    @router.get("/pages/assets/{asset:path}")
    async def asset(asset: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        if asset not in assets:
            raise not_found()
        content, tag = _read(assets[asset], asset)
        headers = {**SECURITY_HEADERS, "Cache-Control": "no-cache", "ETag": tag}
        if if_none_match == tag:
            return Response(status_code=304, headers=headers)
        kind = mimetypes.guess_type(asset)[0] or "application/octet-stream"
        return Response(content, media_type=kind, headers=headers)

    return router


def _static(package: str) -> Traversable:
    return files(package).joinpath("static")


@cache
def _read(package: str, asset: str) -> tuple[bytes, str]:
    """The file and its ETag; read once in a process."""
    content = _static(package).joinpath(*asset.split("/")).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:20]}"'
