"""Logs and traces: one line of JSON per event, one trace from the request to the last handler."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import structlog
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pizzeria_chassis.errors import SettingsError
from pizzeria_chassis.settings import ServiceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = [
    "configure_logging",
    "continue_trace",
    "current_trace_id",
    "current_traceparent",
    "stop_tracing",
    "trace_headers",
]

_propagator: Final = TraceContextTextMapPropagator()


def configure_logging(settings: ServiceSettings) -> None:
    """Send every log line of this process to stdout, ours and those of libraries, once per process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        # The default traceback shows local variables, and with them what must not be logged.
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    finish = (
        [renderer] if settings.log_format == "console" else [structlog.processors.format_exc_info, renderer]
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=settings.service_name)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    # Libraries tell of what they do at info; we want to hear of their trouble only.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


@cache
def _tracing() -> "TracerProvider":
    # Imported and made at first use: contract checks and settings errors need no tracing.
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource.create())
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # type: ignore[import-not-found,unused-ignore]
                OTLPSpanExporter,
            )
        except ImportError:
            raise SettingsError(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set: install opentelemetry-exporter-otlp-proto-http"
            ) from None
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def stop_tracing() -> None:
    """Send what is recorded and not exported yet."""
    if _tracing.cache_info().currsize:
        _tracing().shutdown()
        _tracing.cache_clear()


@contextmanager
def continue_trace(
    traceparent: str | None,
    name: str,
    *,
    kind: SpanKind = SpanKind.CONSUMER,
    **attributes: str,
) -> Iterator[None]:
    """Do the enclosed work as part of the trace of ``traceparent``, or of a new one.

    Binds ``trace_id`` and the attributes to log lines meanwhile. Sagas store ``current_traceparent()`` with
    the order and continue it in later steps.
    """
    parent = _propagator.extract({"traceparent": traceparent} if traceparent else {})
    tracer = _tracing().get_tracer("pizzeria_chassis")
    # `record_exception=False`: exception texts may hold what users wrote.
    with (
        tracer.start_as_current_span(
            name, context=parent, kind=kind, attributes=attributes, record_exception=False
        ),
        structlog.contextvars.bound_contextvars(trace_id=current_trace_id(), **attributes),
    ):
        yield


def current_traceparent() -> str | None:
    """Return the W3C traceparent of the work under way, None outside any trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def current_trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def trace_headers() -> Mapping[str, str]:
    """Return the headers that let another service continue this trace."""
    traceparent = current_traceparent()
    return {"traceparent": traceparent} if traceparent else {}
