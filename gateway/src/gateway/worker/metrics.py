"""Metrics of the worker half, with bounded labels."""

from kommomesh_runtime.telemetry import counter, gauge, histogram

TURNS_IN_FLIGHT = gauge("turns_in_flight", "Turns that this worker holds.")
TURN_SECONDS = histogram("turn_seconds", "Time from the lease of a turn to its end.", ("result",))
DELIVERIES = counter("deliveries_total", "Attempts to send a delivery, by outcome.", ("outcome",))
CLASSIFICATIONS = counter(
    "worker_classifications_total", "Times that a model was asked for an unsure intent, by outcome.", ("outcome",)
)
VERIFICATIONS = counter(
    "worker_verifications_total", "Messages that were looked up in Kommo before they were acted on.", ("outcome",)
)
ERRORS = counter("worker_errors_total", "Failures that the worker outlived, by loop.", ("loop",))
