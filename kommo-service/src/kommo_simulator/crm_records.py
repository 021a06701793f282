"""The bodies of CRM webhooks about leads and contacts that come into being or change."""

from kommo_simulator.crm_events import Fields, account_fields
from kommo_simulator.model import Contact, Lead
from kommo_simulator.settings import SimulatorSettings


def lead_event(settings: SimulatorSettings, verb: str, lead: Lead) -> Fields:
    """Return the fields of `leads[add]` or `leads[update]`."""
    root = f"leads[{verb}][0]"
    values = [
        ("id", lead.id),
        ("name", lead.name),
        ("status_id", lead.status_id),
        ("price", lead.price),
        ("responsible_user_id", lead.responsible_user_id or 0),
        ("last_modified", lead.updated_at),
        ("pipeline_id", lead.pipeline_id),
        ("account_id", settings.account_id),
        ("created_at", lead.created_at),
        ("updated_at", lead.updated_at),
    ]
    shown = [(f"{root}[{name}]", str(value)) for name, value in values]
    return [*shown, *_tags(root, lead), *_custom_fields(root, lead), *account_fields(settings)]


def contact_event(settings: SimulatorSettings, verb: str, contact: Contact) -> Fields:
    """Return the fields of `contacts[add]` or `contacts[update]`."""
    root = f"contacts[{verb}][0]"
    values = [
        ("id", contact.id),
        ("name", contact.name),
        ("responsible_user_id", contact.responsible_user_id or 0),
        ("date_create", contact.created_at),
        ("last_modified", contact.updated_at),
        ("created_at", contact.created_at),
        ("updated_at", contact.updated_at),
        ("type", "contact"),
        ("account_id", settings.account_id),
    ]
    shown = [(f"{root}[{name}]", str(value)) for name, value in values]
    return [*shown, *_tags(root, contact), *_custom_fields(root, contact), *account_fields(settings)]


def _tags(root: str, record: Lead | Contact) -> Fields:
    return [
        (f"{root}[tags][{index}][{name}]", str(tag[name]))
        for index, tag in enumerate(record.tags)
        for name in ("id", "name")
    ]


def _custom_fields(root: str, record: Lead | Contact) -> Fields:
    found: Fields = []
    for index, field in enumerate(record.custom_fields_values or ()):
        at = f"{root}[custom_fields][{index}]"
        found.append((f"{at}[id]", str(field.get("field_id", ""))))
        values = enumerate(field.get("values") or ())
        found.extend((f"{at}[values][{number}][value]", str(value.get("value", ""))) for number, value in values)
    return found
