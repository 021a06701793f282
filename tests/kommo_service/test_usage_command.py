"""`kommomesh accounts usage` as people run it, against a service that counts."""

import json
from functools import partial
from pathlib import Path

from support.kommomesh_command import kommomesh

from kommomesh.conversation.v1 import outbox_service_pb2 as pb
from kommomesh.conversation.v1 import outbox_service_pb2_grpc as pb_grpc
from kommomesh_runtime.server import Service, running_server
from kommomesh_runtime.settings import ServerSettings


class Counting(pb_grpc.OutboxServiceServicer):
    """Knows two accounts, of which one says what it may send."""

    async def GetMonthlyUsage(self, request, context):
        quota = {"7": 500}.get(request.account_id)
        return pb.GetMonthlyUsageResponse(
            usage=pb.MonthlyUsage(
                account_id=request.account_id,
                month="2026-11",
                message_count=410,
                message_quota=quota,
                alarmed_percent=80,
            )
        )


async def test_given_accounts_when_their_usage_is_asked_for_then_what_is_left_is_shown_where_it_is_known(
    tmp_path: Path,
) -> None:
    for account_id, subdomain in (("7", "uno"), ("8", "dos")):
        (tmp_path / f"{subdomain}.toml").write_text(f'id = "{account_id}"\nsubdomain = "{subdomain}"\n')
    place = {"MESH_ACCOUNTS_DIR": str(tmp_path)}
    register = partial(pb_grpc.add_OutboxServiceServicer_to_server, Counting())
    settings = ServerSettings(port=0, drain_seconds=0, grace_seconds=0)
    async with running_server([Service("kommomesh.conversation.v1.OutboxService", register)], settings) as server:
        address = f"127.0.0.1:{server.port}"
        status, out, err = await kommomesh("accounts", "usage", "--address", address, "--json", **place)
        assert (status, err) == (0, "")
        assert [(row["account"], row["sent"], row["quota"], row["left"]) for row in json.loads(out)] == [
            ("8", 410, None, None),
            ("7", 410, 500, 90),
        ]
        status, _, err = await kommomesh("accounts", "usage", "99", "--address", address, **place)
        assert (status, "99 is not configured" in err) == (1, True)
