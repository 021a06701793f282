"""The contract's error reasons and the error classes say the same."""

import importlib
import pkgutil
import re
import string
from pathlib import Path

import conversation_service
import gateway
import intent_service
import kommo_service
import kommomesh_runtime
import llm_service
from kommomesh.common.v1 import error_reason_pb2
from kommomesh_runtime.errors import MeshError

PROTO = Path(__file__).parents[2] / "protos" / "kommomesh" / "common" / "v1" / "error_reason.proto"
PACKAGES = (kommomesh_runtime, conversation_service, intent_service, llm_service, kommo_service, gateway)
BASES = {"MeshError", "NotFound", "AlreadyExists", "FailedPrecondition", "ResourceExhausted", "Unavailable"}


def error_classes() -> list[type[MeshError]]:
    """Return every error class of the project that a caller may see."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", ".env")) and ".versions" not in module.name:
                importlib.import_module(module.name)
    found: list[type[MeshError]] = []
    waiting = [MeshError]
    while waiting:
        one = waiting.pop()
        waiting.extend(one.__subclasses__())
        if one.__name__ not in BASES | {"PermissionDenied"} and not one.__module__.startswith(("test_", "tests")):
            found.append(one)
    return [one for one in found if one.__module__.split(".")[0] in {package.__name__ for package in PACKAGES}]


def documented() -> dict[str, set[str]]:
    """Return the metadata keys that the contract documents for each reason."""
    text = PROTO.read_text()
    found = {}
    for comment, name in re.findall(r"((?:  //[^\n]*\n)+)  ERROR_REASON_(\w+) =", text):
        said = " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
        keys = re.search(r"Metadata: ([^.;]+)", said)
        words = {key.strip() for key in keys[1].split(",")} if keys else set()
        found[name] = words - {"none"}
    return found


def test_given_error_classes_when_compared_then_each_reason_is_in_the_contract():
    known = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert {one.reason for one in error_classes()} - known == set()


def test_given_contract_when_compared_then_each_reason_has_an_error_class():
    used = {one.reason for one in error_classes()}
    assert set(documented()) - used - {"UNSPECIFIED"} == set()


def test_given_error_texts_when_read_then_their_metadata_keys_are_documented():
    keys = documented()
    for one in error_classes():
        mentioned = {name for _, name, _, _ in string.Formatter().parse(one.text) if name}
        assert mentioned <= keys[one.reason] | {"field", "problem"}, one
