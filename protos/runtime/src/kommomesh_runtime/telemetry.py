"""Metrics of a process, on one registry, with bounded labels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

REGISTRY = CollectorRegistry(auto_describe=True)
SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)

RPC_SERVER_SECONDS = Histogram(
    "rpc_server_seconds", "Time of served calls.", ("method", "code"), buckets=SECONDS_BUCKETS, registry=REGISTRY
)
RPC_SERVER_IN_FLIGHT = Gauge("rpc_server_in_flight", "Calls being served.", registry=REGISTRY)
RPC_CLIENT_SECONDS = Histogram(
    "rpc_client_seconds", "Time of outgoing calls.", ("method", "code"), buckets=SECONDS_BUCKETS, registry=REGISTRY
)


def counter(name: str, description: str, labels: Sequence[str] = ()) -> Counter:
    """Return a new counter; its name ends in `_total`."""
    return Counter(name, description, labels, registry=REGISTRY)


def gauge(name: str, description: str, labels: Sequence[str] = ()) -> Gauge:
    """Return a new gauge; its name carries the unit."""
    return Gauge(name, description, labels, registry=REGISTRY)


def histogram(name: str, description: str, labels: Sequence[str] = ()) -> Histogram:
    """Return a new histogram of seconds; its name ends in `_seconds`."""
    return Histogram(name, description, labels, buckets=SECONDS_BUCKETS, registry=REGISTRY)


@contextmanager
def served_metrics(host: str, port: int) -> Iterator[int]:
    """Serve the metrics while inside.

    Args:
        host: address to listen on.
        port: port to listen on; 0 serves nothing.

    Yields:
        The port.
    """
    if port == 0:
        yield 0
        return
    server, thread = start_http_server(port, addr=host, registry=REGISTRY)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
