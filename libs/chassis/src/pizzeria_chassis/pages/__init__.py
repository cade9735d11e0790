"""Pages that a service shows in a browser: one shell, one style, one way to the API (ADR 0077)."""

from pizzeria_chassis.pages.router import Page, pages_router

__all__ = ["Page", "pages_router"]
