"""What callers may ask for of people and content; unknown fields are refused."""

from __future__ import annotations

from pydantic import Field

from simulator.control.orders import Order
from simulator.memberships import Change  # noqa: TC001 - pydantic reads it at run time


class NewFans(Order):
    """New followers and subscribers, from now on."""

    creator: str
    followers: int = Field(default=0, ge=0)
    subscribers: int = Field(default=0, ge=0)


class NewMessages(Order):
    """New messages, from the named fan or from random ones, or to them."""

    creator: str
    count: int = Field(default=1, ge=1)
    fan_uuid: str | None = None
    text: str | None = "hi there"
    sent: bool = False
    price: int | None = Field(default=None, ge=0)


class NewHistory(Order):
    """Old messages over so many chats and days, with so many ties (else one in a hundred)."""

    creator: str
    count: int = Field(ge=1)
    fans: int = Field(default=50, ge=1)
    days: int = Field(default=365, ge=1)
    ties: int | None = Field(default=None, ge=0)


class NewPosts(Order):
    """New posts, published now."""

    creator: str
    count: int = Field(default=1, ge=1)
    price: int | None = None


class Cancellations(Order):
    """Subscribers whose access ends now."""

    creator: str
    count: int = Field(default=1, ge=1)


class SubscriptionChanges(Order):
    """Subscriptions that renew, stop renewing or end now."""

    creator: str
    count: int = Field(default=1, ge=1)
    change: Change


class ReadMessages(Order):
    """A chat whose messages the creator reads."""

    creator: str
    fan_uuid: str


class DeletedChat(Order):
    """A chat that is deleted with all its messages."""

    creator: str
    fan_uuid: str


class MutedChat(Order):
    """A chat that is muted, or heard again."""

    creator: str
    fan_uuid: str
    muted: bool = True


class NewName(Order):
    """Another handle or name of a fan."""

    creator: str
    fan_uuid: str
    handle: str | None = None
    display_name: str | None = None


class DeletedMessages(Order):
    """Messages of a chat that are deleted; none named means the newest."""

    creator: str
    fan_uuid: str
    message_uuids: list[str] = Field(default_factory=list)


class DeletedPosts(Order):
    """Posts that are deleted; none named means the newest."""

    creator: str
    post_uuids: list[str] = Field(default_factory=list)


class Reactions(Order):
    """Likes and comments on posts, fewer if negative; none named means the newest."""

    creator: str
    post_uuids: list[str] = Field(default_factory=list)
    likes: int = 1
    comments: int = 0


class Unfollows(Order):
    """Fans who leave, or come back: the named, or so many of the oldest."""

    creator: str
    fan_uuids: list[str] = Field(default_factory=list)
    count: int = Field(default=1, ge=1)
