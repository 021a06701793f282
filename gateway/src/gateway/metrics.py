"""Metrics of the web half, with bounded labels."""

from prometheus_client import Histogram

from kommomesh_runtime.telemetry import REGISTRY, counter, histogram

REQUEST_SECONDS = histogram("gateway_request_seconds", "Time of HTTP requests.", ("route", "status"))
EVENTS = counter("gateway_events_total", "Events of Kommo by kind and outcome.", ("kind", "outcome"))
IGNORED_EVENTS = counter("gateway_ignored_events_total", "Events not stored, by reason.", ("reason",))
UNKNOWN_ORIGINS = counter("gateway_unknown_origins_total", "Events of an origin that the table does not name.")
UNINSTALLS = counter("gateway_uninstalls_total", "Uninstall hooks of accounts that were genuine.")
INGEST_FAILURES = counter("gateway_ingest_failures_total", "Failed IngestMessages calls.", ("code",))
INGEST_CALL_ITEMS = Histogram(
    "gateway_ingest_call_items",
    "Items of one IngestMessages call.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000),
    registry=REGISTRY,
)
