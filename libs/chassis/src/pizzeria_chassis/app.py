"""The application factory: what makes a FastAPI app one of ours."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry

from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.faults import Faults, InjectFaults
from pizzeria_chassis.health import Component, Health, Probe
from pizzeria_chassis.metrics import HttpMetrics, metrics_router
from pizzeria_chassis.middleware import BodyLimit, RequestContext
from pizzeria_chassis.openapi import install_openapi
from pizzeria_chassis.problems import install_problem_handlers

__all__ = ["Service", "create_app"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Service:
    """Everything that ``create_app`` needs to know of a service.

    ``components`` start in this order and stop in the reverse one. ``required`` names the checks without
    which the service is not ready (503); any other trouble only degrades it.
    """

    name: str
    description: str
    authenticator: Authenticator
    version: str = "0.1.0"
    routers: Sequence[APIRouter] = ()
    components: Sequence[Component] = ()
    probes: Mapping[str, Probe] = field(default_factory=dict)
    required: frozenset[str] = frozenset({"database"})
    asyncapi: Callable[[], dict[str, Any]] | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    faults: Faults | None = None


def create_app(service: Service) -> FastAPI:
    """Return the app of ``service``; starting it starts the components. No I/O.

    ``app.state`` carries ``authenticator`` and ``stopping``, an ``asyncio.Event`` that is set as soon as the
    process is asked to end: streams and long waits watch it so that shutdown is prompt.
    """
    health = Health(components=service.components, probes=service.probes, required=service.required)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for component in service.components:
                # Pushed first: a component that fails halfway through its start is stopped as well.
                stack.push_async_callback(component.stop)
                await component.start()
            _log.info("service_started", service=service.name)
            yield
            health.stopping.set()
        _log.info("service_stopped", service=service.name)

    app = FastAPI(
        title=service.name,
        description=service.description,
        version=service.version,
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.authenticator = service.authenticator
    app.state.health = health
    app.state.asyncapi = service.asyncapi
    app.state.stopping = health.stopping
    install_problem_handlers(app)
    install_openapi(app)
    app.add_middleware(BodyLimit)
    if service.faults is not None:
        app.add_middleware(InjectFaults, faults=service.faults)
    app.add_middleware(RequestContext, metrics=HttpMetrics(service.registry))
    app.include_router(health.router())
    app.include_router(metrics_router(service.registry))
    if service.asyncapi is not None:
        app.include_router(_asyncapi_router(service.asyncapi))
    for router in service.routers:
        app.include_router(router)
    return app


def _asyncapi_router(document: Callable[[], dict[str, Any]]) -> APIRouter:
    router = APIRouter()

    @router.get("/asyncapi.json", include_in_schema=False)
    async def asyncapi() -> Response:
        return JSONResponse(document())

    return router
