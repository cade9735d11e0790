"""How honest the estimates are, for Prometheus."""

from prometheus_client import CollectorRegistry, Gauge

from kitchen_service.adapters.views import Views


class EstimateMetrics:
    """Call it now and then: one transaction that only reads."""

    def __init__(self, views: Views, registry: CollectorRegistry) -> None:
        self._views = views
        self._error = Gauge(
            "kitchen_estimate_absolute_error_seconds",
            "Mean over the last orders of |ready - estimated|.",
            registry=registry,
        )
        self._bias = Gauge(
            "kitchen_estimate_bias_seconds",
            "Mean over the last orders of ready - estimated.",
            registry=registry,
        )

    async def __call__(self) -> None:
        found = await self._views.accuracy()
        if found.mean_absolute_error is not None and found.bias is not None:
            self._error.set(found.mean_absolute_error.total_seconds())
            self._bias.set(found.bias.total_seconds())
