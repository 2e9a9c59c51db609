"""Older messages of chats, from where the first look at each chat stopped back to its beginning."""

from __future__ import annotations

from typing import Final

from worker.fanvue.wire_lists import ChatMessage
from worker.streams.messages import SCOPES, message_row, messages_path
from worker.streams.stream import ChatStream


MESSAGE_HISTORY: Final = ChatStream(
    sync_type="message_history",
    path=messages_path,
    scopes=SCOPES,
    shape=ChatMessage,
    row=message_row,
)
