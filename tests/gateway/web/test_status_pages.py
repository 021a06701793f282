"""Status, probes and the landing page say what is so."""

import pytest


@pytest.mark.parametrize("path", ["/api/kommo/webhook/any-secret", "/api/kommo/chats/any-scope", "/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_given_probe_when_asked_then_200(edge, method, path):
    assert (await edge.client.request(method, path)).status_code == 200


async def test_given_serving_storage_when_status_is_asked_then_ok(edge):
    answer = await edge.client.get("/api/kommo/webhook")

    assert answer.status_code == 200
    content = answer.json()
    assert (content["status"], content["checks"]["conversation_service"]) == ("ok", "serving")


async def test_given_draining_when_asked_then_not_ready_but_alive(edge):
    edge.web.drain.is_draining = True

    assert (await edge.client.get("/readyz")).status_code == 503
    assert (await edge.client.get("/healthz")).status_code == 200
    assert (await edge.client.get("/api/kommo/webhook")).json()["status"] == "degraded"


async def test_given_running_gateway_when_landing_page_is_asked_then_says_what_runs(edge):
    answer = await edge.client.get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "server" not in answer.headers
    assert "disponible / serving" in answer.text
    assert "fixture-webhook-secret" not in answer.text
    assert (await edge.client.head("/")).status_code == 200
