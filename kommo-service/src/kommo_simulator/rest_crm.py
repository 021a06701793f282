"""REST v4: leads, contacts, notes and tasks, as handing over to a person needs them."""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator import crm_events, crm_records
from kommo_simulator.answers import Hal, Problem, page_links, page_of, read_json
from kommo_simulator.faults import OVERWRITTEN
from kommo_simulator.model import Contact, Lead, Note, Task
from kommo_simulator.simulator import Simulator

MAXIMUM_ITEMS = 250
_NOTE_FIELDS = {"common": ("text",), "extended_service_message": ("service", "text")}


class Tag(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tag, named by id or by name."""

    id: int | None = None
    name: str | None = None


class EmbeddedTags(msgspec.Struct, frozen=True):
    """Tags that replace all others."""

    tags: list[Tag]


class Patch(msgspec.Struct, frozen=True):
    """The changes of a lead or a contact."""

    name: str | UnsetType = UNSET
    price: int | UnsetType = UNSET
    responsible_user_id: int | UnsetType = UNSET
    status_id: int | UnsetType = UNSET
    pipeline_id: int | UnsetType = UNSET
    custom_fields_values: list[dict[str, Any]] | UnsetType | None = UNSET
    tags_to_add: list[Tag] = []
    tags_to_delete: list[Tag] = []
    embedded: EmbeddedTags | None = msgspec.field(default=None, name="_embedded")


class NewNote(msgspec.Struct, frozen=True):
    """A note to add."""

    note_type: str
    params: dict[str, Any] = {}
    created_by: int | None = None
    request_id: str | None = None


class NewTask(msgspec.Struct, frozen=True):
    """A task to add."""

    text: str
    complete_till: int
    entity_id: int | None = None
    entity_type: Literal["leads", "contacts"] | None = None
    task_type_id: int = 1
    responsible_user_id: int | None = None
    request_id: str | None = None


async def get_entity(request: Request) -> Response:
    """Return one lead or contact."""
    return Hal(_shown_entity(request, _entity(request)))


async def patch_entity(request: Request) -> Response:
    """Change one lead or contact."""
    simulator, entity = Simulator.of(request), _entity(request)
    patch = await read_json(request, Patch)
    _check_fields(simulator, patch)
    if isinstance(entity, Lead):
        _move(simulator, entity, patch)
        entity.price = entity.price if patch.price is UNSET else patch.price
    _rename(entity, patch)
    if OVERWRITTEN in request.scope:
        _overwrite(entity, request.scope[OVERWRITTEN])
    _retag(simulator, entity, patch)
    entity.updated_at = simulator.world.seconds()
    _announce_update(simulator, entity)
    return Hal({"id": entity.id, "updated_at": entity.updated_at, "_links": page_links(request, False, 1)})


async def add_notes(request: Request) -> Response:
    """Add notes to a lead or a contact."""
    simulator, entity = Simulator.of(request), _entity(request)
    news = _bounded(await read_json(request, list[NewNote]))
    for new in news:
        _check_note(new)
    notes = [_add_note(simulator, _kind(request), entity.id, new) for new in news]
    shown = [
        {"id": note.id, "entity_id": note.entity_id, "request_id": new.request_id or str(index)}
        for index, (note, new) in enumerate(zip(notes, news, strict=True))
    ]
    return Hal({"_links": page_links(request, False, 1), "_embedded": {"notes": shown}})


async def list_notes(request: Request) -> Response:
    """Return the notes of a lead or a contact."""
    simulator, entity, kind = Simulator.of(request), _entity(request), _kind(request)
    notes = [n for n in simulator.world.notes.values() if (n.entity_type, n.entity_id) == (kind, entity.id)]
    return _listed(request, "notes", [msgspec.to_builtins(note) for note in notes])


async def add_tasks(request: Request) -> Response:
    """Add tasks."""
    simulator = Simulator.of(request)
    news = _bounded(await read_json(request, list[NewTask]))
    for new in news:
        _check_task(simulator, new)
    shown = [
        {"id": _add_task(simulator, new).id, "request_id": new.request_id or str(index)}
        for index, new in enumerate(news)
    ]
    return Hal({"_links": page_links(request, False, 1), "_embedded": {"tasks": shown}})


async def list_tasks(request: Request) -> Response:
    """Return tasks, all or those of one entity."""
    tasks = list(Simulator.of(request).world.tasks.values())
    for name in ("entity_id", "entity_type"):
        wanted = request.query_params.get(f"filter[{name}]", request.query_params.get(f"filter[{name}][]"))
        tasks = [task for task in tasks if wanted in (None, str(getattr(task, name)))]
    return _listed(request, "tasks", [msgspec.to_builtins(task) for task in tasks])


def _kind(request: Request) -> str:
    return "leads" if request.url.path.startswith("/api/v4/leads/") else "contacts"


def _entity(request: Request) -> Lead | Contact:
    world, entity_id = Simulator.of(request).world, request.path_params["entity_id"]
    table: dict[int, Lead] | dict[int, Contact] = world.leads if _kind(request) == "leads" else world.contacts
    if entity_id in table:
        return table[entity_id]
    if world.settings.adopt_unknown_chats:
        if _kind(request) == "leads":
            return world.add_lead(world.ensure_contact(None, f"Contact of {entity_id}"), entity_id)
        return world.ensure_contact(entity_id, f"Contact {entity_id}")
    raise Problem(404, "Entity not found")


def _bounded(items: list[Any]) -> list[Any]:
    if not 1 <= len(items) <= MAXIMUM_ITEMS:
        raise Problem(400, f"From 1 to {MAXIMUM_ITEMS} entities a request", "")
    return items


def _listed(request: Request, name: str, items: list[Any]) -> Response:
    page, limit = page_of(request)
    shown = items[(page - 1) * limit : page * limit]
    if not shown:
        return Response(status_code=204)
    links = page_links(request, page * limit < len(items), page)
    return Hal({"_page": page, "_links": links, "_embedded": {name: shown}})


def _shown_entity(request: Request, entity: Lead | Contact) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(entity)
    contact_id = body.pop("contact_id", None)
    body["_embedded"] = {"tags": body.pop("tags")}
    if contact_id is not None and "contacts" in request.query_params.get("with", ""):
        body["_embedded"]["contacts"] = [{"id": contact_id, "is_main": True}]
    body["account_id"] = Simulator.of(request).settings.account_id
    body["_links"] = page_links(request, False, 1)
    return body


def _move(simulator: Simulator, lead: Lead, patch: Patch) -> None:
    old = (lead.status_id, lead.pipeline_id)
    # Without its pipeline a stage may be refused; the strict reading is the safe one to develop against.
    if patch.status_id is not UNSET and patch.pipeline_id is UNSET:
        raise Problem(400, "status_id needs its pipeline_id", "status_id")
    if patch.status_id is not UNSET and patch.pipeline_id is not UNSET:
        lead.status_id, lead.pipeline_id = patch.status_id, patch.pipeline_id
    if (lead.status_id, lead.pipeline_id) != old:
        fields = crm_events.lead_changed(simulator.settings, "status", lead, "status_id", old)
        simulator.stage.webhooks.raise_event("status_lead", "", fields)
    new_user = lead.responsible_user_id if patch.responsible_user_id is UNSET else patch.responsible_user_id
    if new_user != lead.responsible_user_id:
        before, lead.responsible_user_id = (lead.responsible_user_id or 0, old[1]), new_user
        fields = crm_events.lead_changed(simulator.settings, "responsible", lead, "responsible_user_id", before)
        simulator.stage.webhooks.raise_event("responsible_lead", "", fields)


def _rename(entity: Lead | Contact, patch: Patch) -> None:
    for name in ("name", "responsible_user_id"):
        value = getattr(patch, name)
        if value is not UNSET:
            setattr(entity, name, value)
    if patch.custom_fields_values is not UNSET:
        entity.custom_fields_values = _merged(entity.custom_fields_values, patch.custom_fields_values)


def _check_fields(simulator: Simulator, patch: Patch) -> None:
    limit = simulator.settings.lead_field_limit
    fields = patch.custom_fields_values or [] if patch.custom_fields_values is not UNSET else []
    texts = [value.get("value") for field in fields for value in field.get("values") or ()]
    if limit and any(isinstance(text, str) and len(text) > limit for text in texts):
        raise Problem(400, f"This value has more than {limit} characters.", "custom_fields_values")


def _merged(known: list[dict[str, Any]] | None, changed: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Return custom fields after a change, which touches only those that it names; null empties them all."""
    if changed is None:
        return None
    named = {field.get("field_id") for field in changed}
    return [*(field for field in known or () if field.get("field_id") not in named), *changed]


def _overwrite(entity: Lead | Contact, text: str) -> None:
    """Write a text over an entity's custom fields, as a colleague or another program may at any moment."""
    entity.custom_fields_values = [
        {**field, "values": [{"value": text}]} for field in entity.custom_fields_values or ()
    ]


def _retag(simulator: Simulator, entity: Lead | Contact, patch: Patch) -> None:
    if patch.embedded is not None:
        entity.tags.clear()
    gone = {(tag.id, tag.name) for tag in patch.tags_to_delete}
    entity.tags[:] = [t for t in entity.tags if (t["id"], None) not in gone and (None, t["name"]) not in gone]
    for tag in (*(patch.embedded.tags if patch.embedded else ()), *patch.tags_to_add):
        if tag.name and all(known["name"] != tag.name for known in entity.tags):
            entity.tags.append({"id": simulator.world.new_number(), "name": tag.name, "color": None})


def _announce_update(simulator: Simulator, entity: Lead | Contact) -> None:
    if isinstance(entity, Lead):
        fields = crm_records.lead_event(simulator.settings, "update", entity)
        simulator.stage.webhooks.raise_event("update_lead", "", fields)
    else:
        fields = crm_records.contact_event(simulator.settings, "update", entity)
        simulator.stage.webhooks.raise_event("update_contact", "", fields)


def _check_note(new: NewNote) -> None:
    if new.note_type not in _NOTE_FIELDS:
        raise Problem(400, "This value is not valid.", "note_type")
    for name in _NOTE_FIELDS[new.note_type]:
        if not isinstance(new.params.get(name), str) or not new.params[name]:
            raise Problem(400, "This value is not valid.", f"params.{name}")


def _add_note(simulator: Simulator, kind: str, entity_id: int, new: NewNote) -> Note:
    world = simulator.world
    author = world.users[0].id if new.created_by is None else new.created_by
    note = Note(world.new_number(), kind, entity_id, new.note_type, new.params, author, world.seconds())
    world.notes[note.id] = note
    date = datetime.fromtimestamp(note.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    fields = crm_events.note_added(simulator.settings, note, date)
    simulator.stage.webhooks.raise_event(f"note_{kind.removesuffix('s')}", "", fields)
    return note


def _check_task(simulator: Simulator, new: NewTask) -> None:
    if not new.text:
        raise Problem(400, "This value should not be blank.", "text")
    known = {user.id for user in simulator.world.users}
    if new.responsible_user_id is not None and new.responsible_user_id not in known:
        raise Problem(400, "This value is not valid.", "responsible_user_id")


def _add_task(simulator: Simulator, new: NewTask) -> Task:
    world = simulator.world
    responsible = new.responsible_user_id or world.users[0].id
    number, at = world.new_number(), world.seconds()
    task = Task(number, new.text, new.complete_till, new.entity_id, new.entity_type, new.task_type_id, responsible, at)
    world.tasks[number] = task
    return task


ROUTES = [
    route
    for kind in ("leads", "contacts")
    for route in (
        Route(f"/api/v4/{kind}/{{entity_id:int}}", get_entity, methods=["GET"], name=f"get_{kind[:-1]}"),
        Route(f"/api/v4/{kind}/{{entity_id:int}}", patch_entity, methods=["PATCH"], name=f"patch_{kind[:-1]}"),
        Route(f"/api/v4/{kind}/{{entity_id:int}}/notes", add_notes, methods=["POST"], name="add_notes"),
        Route(f"/api/v4/{kind}/{{entity_id:int}}/notes", list_notes, methods=["GET"], name="list_notes"),
    )
] + [
    Route("/api/v4/tasks", add_tasks, methods=["POST"], name="add_tasks"),
    Route("/api/v4/tasks", list_tasks, methods=["GET"], name="list_tasks"),
]
