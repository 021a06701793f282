"""Channels to other services: balanced, kept alive, with retries only where a repeat is harmless."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

from kommomesh_runtime.interceptors import ClientInterceptor

RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
HARMLESS_TWICE = (descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS, descriptor_pb2.MethodOptions.IDEMPOTENT)


def retryable_methods(service: str) -> list[str]:
    """Return the methods of a service that its contract marks as harmless twice.

    Args:
        service: full name of a service whose stubs are imported.
    """
    descriptor = descriptor_pool.Default().FindServiceByName(service)
    return [m.name for m in descriptor.methods if m.GetOptions().idempotency_level in HARMLESS_TWICE]


def _service_config(services: Sequence[str], *, health_checked: bool) -> dict[str, Any]:
    names = [{"service": name, "method": method} for name in services for method in retryable_methods(name)]
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
    }
    if names:
        config["methodConfig"] = [{"name": names, "retryPolicy": RETRY_POLICY}]
    if services and health_checked:
        config["healthCheckConfig"] = {"serviceName": services[0]}
    return config


def channel_options(services: Sequence[str], *, health_checked: bool = True) -> list[tuple[str, object]]:
    """Return the options of a channel to a server that offers `services`."""
    return [
        ("grpc.service_config", json.dumps(_service_config(services, health_checked=health_checked))),
        ("grpc.dns_min_time_between_resolutions_ms", 2_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.enable_http_proxy", 0),  # a proxy variable in the environment must not capture the mesh
    ]


@asynccontextmanager
async def open_channel(
    address: str, *, services: Sequence[str] = (), limit_seconds: float = 5.0, health_checked: bool = True
) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel for as long as the process, or the test, lives.

    Args:
        address: target such as `dns:///127.0.0.1:50061`.
        services: full names of the services called over it; their contracts say what may be repeated.
        limit_seconds: the most that one call may take; a call's own `timeout` comes first.
        health_checked: whether backends that report NOT_SERVING are left out.
    """
    async with grpc.aio.insecure_channel(
        address,
        options=channel_options(services, health_checked=health_checked),
        interceptors=[ClientInterceptor(limit_seconds)],
    ) as channel:
        yield channel
