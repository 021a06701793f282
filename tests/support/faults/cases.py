"""All cases of the table of delivery faults."""

from support.faults.bot_cases import BOT_CASES
from support.faults.channel_cases import CHANNEL_CASES
from support.faults.talk_cases import TALK_CASES

CASES = (*TALK_CASES, *BOT_CASES, *CHANNEL_CASES)
