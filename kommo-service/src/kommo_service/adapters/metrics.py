"""What the service counts; every label has few values."""

from kommomesh_runtime.telemetry import counter, gauge, histogram

SENDS = counter("kommo_sends_total", "Messages by transport and outcome.", ("transport", "outcome", "reason"))
PASSED_OVER = counter("kommo_transports_passed_over_total", "Transports that could not take a message.", ("reason",))
PROOFS = counter("kommo_proofs_total", "Messages that were looked for in Kommo's record, by status.", ("status",))
HAND_OFFS = counter("kommo_hand_offs_total", "Actions of hand-overs by outcome.", ("action", "outcome", "reason"))
MEDIA_INSPECTIONS = counter("kommo_media_inspections_total", "Files that were looked at, by outcome.", ("outcome",))
REQUEST_SECONDS = histogram("kommo_request_seconds", "Time of requests to Kommo.", ("operation", "answer"))
REFUSALS = counter("kommo_local_refusals_total", "Requests refused by the local limiter.", ("use",))
TOKEN_SECONDS_LEFT = gauge("kommo_token_seconds_left", "Time until the last token of an account ends.", ("account_id",))
ALERTS = counter("kommo_alerts_total", "Alerts to the accounts' own addresses, by outcome.", ("outcome", "reason"))
MIRRORS = counter("kommo_mirrors_total", "What relays brought, into Kommo, by outcome.", ("what", "outcome", "reason"))
RELAYED = counter("kommo_relay_posts_total", "Messages to relays by outcome.", ("author", "outcome", "reason"))
