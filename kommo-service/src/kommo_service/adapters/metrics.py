"""What the service counts; every label has few values."""

from kommomesh_runtime.telemetry import counter, histogram

SENDS = counter("kommo_sends_total", "Messages by transport and outcome.", ("transport", "outcome", "reason"))
HAND_OFFS = counter("kommo_hand_offs_total", "Actions of hand-overs by outcome.", ("action", "outcome", "reason"))
REQUEST_SECONDS = histogram("kommo_request_seconds", "Time of requests to Kommo.", ("operation", "answer"))
REFUSALS = counter("kommo_local_refusals_total", "Requests refused by the local limiter.", ("use",))
