"""Every error the worker raises on purpose, grouped by how one recovers from it.

An error carries a stable code, what is wrong, what to do about it, and when to try again.
Nothing here decides a job's fate: `worker.jobs.outcomes` alone does that. Texts are scrubbed
of anything that looks like a secret before they are kept.

    SyncError
    ├── Transient                try again with backoff
    │   ├── Throttled            snooze until a moment; the attempt does not count
    │   ├── CursorExpired        the walk starts again from its window, nothing is lost
    │   └── DatabaseUnavailable  our own database did not answer
    ├── GrantError               this creator's access
    │   ├── Unauthorized         the access token was refused: refresh, then try once more
    │   ├── GrantMoved           someone refreshed first: reload and continue
    │   ├── GrantInvalid         the grant is dead: the creator reconnects
    │   └── ScopeMissing         the grant lacks a scope: the creator authorises again
    ├── ProviderContract         a payload broke expectations: park it, continue with the others
    ├── Unavailable              the thing asked for is not there
    │   ├── NotFound             unknown, or not visible to this grant
    │   └── Gone                 was there, and has been retired
    ├── Rejected                 the database refused the request as it stands: tell the caller
    ├── LeaseLost                stop quietly, write nothing
    ├── Misconfigured            our settings, our keys, our client: a human must act
    │   ├── SchemaMissing        the database lacks what this version calls: it may be on its way
    │   └── SealBroken           a sealed value does not open with the key it names
    └── UsageError               the command line was used wrongly
"""

# ruff: noqa: N818 - the names say what is the case, as the design document spells them

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from worker.redaction import redact_text


if TYPE_CHECKING:
    from datetime import datetime, timedelta


class SyncError(Exception):
    """Something expected went wrong, and we know what to do about it."""

    code: ClassVar[str] = "sync_error"
    remedy_by_default: ClassVar[str] = "look at the worker's log"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        retry_after: timedelta | None = None,
        model_id: str | None = None,
        sync_type: str | None = None,
    ) -> None:
        self.message = redact_text(message)
        self.remedy = redact_text(remedy or self.remedy_by_default)
        self.retry_after = retry_after
        self.model_id = model_id
        self.sync_type = sync_type
        super().__init__(self.message)

    @property
    def operator_message(self) -> str:
        """Say in one line what is wrong and what to do."""
        return f"{self.message}; {self.remedy}"

    def describe(self) -> dict[str, str]:
        """Return the error as job rows and `--json` output show it."""
        return {"kind": self.code, "message": self.message, "remedy": self.remedy}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r}, message={self.message!r})"


class Transient(SyncError):
    """The other side did not answer usefully this time."""

    code = "transient"
    remedy_by_default = "nothing: it is tried again by itself"


class Throttled(Transient):
    """The call budget is spent until a known moment."""

    code = "throttled"
    remedy_by_default = "nothing: the work continues when the rate limit allows"

    def __init__(
        self,
        message: str,
        *,
        until: datetime,
        retry_after: timedelta | None = None,
        model_id: str | None = None,
        sync_type: str | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after, model_id=model_id, sync_type=sync_type)
        self.until = until


class CursorExpired(Transient):
    """Fanvue no longer accepts the cursor of an interrupted walk."""

    code = "cursor_expired"
    remedy_by_default = "nothing: the walk starts again from the top of its window"


class DatabaseUnavailable(Transient):
    """Our own database did not answer, or refused to for now."""

    code = "database_unavailable"
    remedy_by_default = "check that the Supabase project is up; the work resumes by itself"


class GrantError(SyncError):
    """This creator's access to Fanvue needs attention."""

    code = "grant_error"
    remedy_by_default = "look at the model's token status"


class Unauthorized(GrantError):
    """Fanvue refused the access token."""

    code = "unauthorized"
    remedy_by_default = "nothing: the token is refreshed and the call repeated"


class GrantMoved(GrantError):
    """Another worker stored a newer pair of tokens."""

    code = "grant_moved"
    remedy_by_default = "nothing: the newer tokens are loaded"


class GrantInvalid(GrantError):
    """The refresh token is dead, and no newer one exists."""

    code = "grant_invalid"
    remedy_by_default = "the creator has to connect the account again"


class ScopeMissing(GrantError):
    """Fanvue answered 403: the grant does not cover this data."""

    code = "scope_missing"
    remedy_by_default = (
        "tick the scope in the Fanvue app's Authentication tab, then connect the creator again"
    )


class ProviderContract(SyncError):
    """Fanvue's answer breaks what its interface promises."""

    code = "provider_contract"
    remedy_by_default = "compare the answer with Fanvue's documentation; the data is left alone"

    def __init__(
        self,
        message: str,
        *,
        json_path: str | None = None,
        remedy: str | None = None,
        model_id: str | None = None,
        sync_type: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, model_id=model_id, sync_type=sync_type)
        self.json_path = json_path


class Unavailable(SyncError):
    """What was asked for is not there."""

    code = "unavailable"
    remedy_by_default = "check the creator's UUID and whether the account still exists"


class NotFound(Unavailable):
    """Unknown to Fanvue, or not visible to this grant."""

    code = "not_found"


class Gone(Unavailable):
    """Retired by Fanvue."""

    code = "gone"
    remedy_by_default = "check Fanvue's changelog for the path that replaces it"


class Rejected(SyncError):
    """The database refused what was asked, and says why."""

    code = "rejected"
    remedy_by_default = "change the request"
    exit_code = 2


class LeaseLost(SyncError):
    """The job belongs to another worker now."""

    code = "lease_lost"
    remedy_by_default = "nothing: another worker continues"


class Misconfigured(SyncError):
    """A setting, a key or a permission of ours is wrong."""

    code = "misconfigured"
    remedy_by_default = "correct the setting and start again"
    exit_code = 2


class SchemaMissing(Misconfigured):
    """The database lacks a function or table: a migration is under way, or was never applied."""

    code = "schema_missing"
    remedy_by_default = "apply the migrations: supabase db push --remote"


class SealBroken(Misconfigured):
    """A sealed value does not open with the key it names."""

    code = "seal_broken"
    remedy_by_default = (
        "restore the key that sealed it under this id in TOKEN_ENCRYPTION_KEYS, "
        "or connect the creator again"
    )


class UsageError(SyncError):
    """The command line was used wrongly."""

    code = "usage"
    remedy_by_default = "see --help"
    exit_code = 2
