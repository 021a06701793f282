"""The simulator's one deliberate departure from Kommo: talks and contacts it never saw get a chat on demand."""

from kommo_simulator.model import Chat, Contact, Talk
from kommo_simulator.state import World

ADOPTED_ORIGIN = "waba"
ADOPTED_NAME = "Cliente adoptado"


def talk_by_id(world: World, talk_id: int) -> Talk | None:
    """Return a talk; an unknown one is made, in a chat `talk-<id>`, where the settings allow it."""
    found = world.talks.get(talk_id)
    if found is not None or not world.settings.adopt_unknown_chats:
        return found
    contact = world.ensure_contact(None, ADOPTED_NAME)
    return world.open_talk(_adopt(world, f"talk-{talk_id}", contact), talk_id)


def talks_of_contact(world: World, contact_id: int) -> list[Talk]:
    """Return a contact's talks; an unknown contact gets a chat `contact-<id>`, where the settings allow it."""
    found = [talk for talk in world.talks.values() if world.chats[talk.chat_id].contact_id == contact_id]
    if found or not world.settings.adopt_unknown_chats:
        return found
    contact = world.ensure_contact(contact_id, ADOPTED_NAME)
    return [world.open_talk(_adopt(world, f"contact-{contact_id}", contact))]


def _adopt(world: World, chat_id: str, contact: Contact) -> Chat:
    chat = world.add_chat(chat_id, contact, ADOPTED_ORIGIN)
    chat.is_adopted = True
    return chat
