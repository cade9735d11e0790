"""Pages that a service shows in a browser: one shell, one style, one way to the API (ADR 0077)."""

from pizzeria_chassis.pages.router import OPERATIONS, Page, pages_router

__all__ = ["OPERATIONS", "Page", "pages_router"]
