"""One authorised API call as an endpoint sees it, and the parameters it may read.

Parameters are validated here, and refused with the error bodies Fanvue uses.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from simulator.clock import to_millis
from simulator.replies import Invalid, InvalidUuid, NotFound


if TYPE_CHECKING:
    from simulator.knobs import Knobs
    from simulator.people import Agency, Creator, Fan, User
    from simulator.webhooks.newsroom import Newsroom
    from simulator.world import World


UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
BAD_CURSOR = "cursor is invalid or has expired"
DAY_MS = 86_400_000


class Family(StrEnum):
    """A path family."""

    UNVERSIONED = "unversioned"
    V1 = "v1"


@dataclass(slots=True)
class Call:
    """Who calls, for whom, with what."""

    world: World
    now: int
    knobs: Knobs
    family: Family
    user: User
    agency: Agency | None
    owner: Creator | None
    client_id: str
    scopes: frozenset[str]
    newsroom: Newsroom
    query: dict[str, str]
    path: dict[str, str]
    template: str
    body: Any = None
    cache: dict[Any, Any] = field(default_factory=dict)

    @property
    def v1(self) -> bool:
        """Tell whether the call came by a /v1 path."""
        return self.family is Family.V1

    @property
    def creator(self) -> Creator:
        """Return whose data is asked for; an account that is no creator has none."""
        if self.owner is None:
            raise NotFound("Creator not found")
        return self.owner

    @property
    def list_share(self) -> float:
        """Return which part of its list this endpoint admits."""
        return self.knobs.share_of(self.template)

    def fan(self, name: str = "userUuid") -> Fan:
        """Return the fan named in the path."""
        found = self.creator.fans_by_uuid.get(self.uuid(name))
        if found is None:
            raise NotFound("User not found")
        return found

    def uuid(self, name: str) -> str:
        """Return a UUID from the path."""
        return check_uuid(self.path[name], name)

    def integer(self, name: str, default: int, maximum: int | None = None) -> int:
        """Return a whole number of at least 1 and at most the maximum."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise Invalid(f"{name} must be an integer number")
        value = int(text)
        if value < 1:
            raise Invalid(f"{name} must not be less than 1")
        if maximum is not None and value > maximum:
            raise Invalid(f"{name} must not be greater than {maximum}")
        return value

    def size(self, default: int, name: str = "size") -> int:
        """Return the page size."""
        return self.integer(name, default, self.knobs.max_size)

    def moment(self, name: str) -> datetime | None:
        """Return a full datetime with offset; bare dates are refused."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            value = datetime.fromisoformat(text.replace(" ", "+"))
        except ValueError:
            value = None
        if value is None or "T" not in text or value.tzinfo is None:
            raise Invalid(f"{name} must be an ISO 8601 datetime")
        return value

    def instant(self, name: str) -> int | None:
        """Return a datetime parameter in milliseconds."""
        value = self.moment(name)
        return None if value is None else to_millis(value)

    def window(self) -> tuple[int | None, int | None]:
        """Return startDate and endDate in milliseconds; all that is wrong is told at once."""
        errors: list[str] = []
        bounds: list[int | None] = []
        for name in ("startDate", "endDate"):
            try:
                bounds.append(self.instant(name))
            except Invalid as error:
                errors.extend(error.body["errors"])
        if errors:
            raise Invalid(*errors)
        start, end = bounds
        if self.knobs.dates_truncated_to_day:
            start = None if start is None else start - start % DAY_MS
            end = None if end is None else end - end % DAY_MS
        if start is not None and not self.knobs.start_inclusive:
            start += 1
        return start, end

    def words(self, name: str) -> list[str]:
        """Return a comma-separated list."""
        return [word for word in self.query.get(name, "").split(",") if word]

    def cursor(self) -> dict[str, Any] | None:
        """Return the content of the cursor, or None on the first page."""
        text = self.query.get("cursor")
        return None if text is None else read_cursor(text)


def check_uuid(text: str, name: str) -> str:
    """Return a UUID in lower case or refuse it."""
    if not UUID.fullmatch(text):
        raise InvalidUuid(name)
    return text.lower()


def write_cursor(content: dict[str, Any]) -> str:
    """Render a cursor: base64url of JSON, without padding."""
    raw = json.dumps(content, separators=(",", ":")).encode()
    return urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(text: str) -> dict[str, Any]:
    """Parse a cursor or refuse it."""
    try:
        content = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Invalid(BAD_CURSOR)
    return content


def cursor_instant(content: dict[str, Any]) -> int:
    """Return the date in a cursor in milliseconds."""
    try:
        return to_millis(datetime.fromisoformat(content["date"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(BAD_CURSOR) from error
