"""Essentials and details: what a record cannot do without, and what it is read without.

An essential is a plain field: unreadable, it takes its record along. A detail that cannot be
read is None and is noted by its JSON path, and the record is read all the same. Never a value is
noted, since values are personal data.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, WrapValidator
from pydantic.alias_generators import to_camel


if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidatorFunctionWrapHandler


Path: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class Reading:
    """What is noted while one record is read: each lost detail, and where in it the offence is."""

    lost: dict[Path, Path] = field(default_factory=dict)
    way: Path = ()

    def has_lost(self, *names: str) -> bool:
        """Tell whether one of these fields of the record itself could not be read."""
        return any((name,) in self.lost for name in names)

    @contextmanager
    def within(self, name: str) -> Iterator[Path]:
        """Note what follows below a field of that name."""
        before, self.way = self.way, (*self.way, name)
        try:
            yield self.way
        finally:
            self.way = before


def _read_part(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    with reading_of(info).within(_name(info)):
        return read(value)


def _read_detail(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if value is None:
        return None
    reading = reading_of(info)
    noted = dict(reading.lost)
    # By hand: a dozen details a row, fifty rows a page, and a context manager for each is felt.
    before = reading.way
    way = reading.way = (*before, _name(info))
    try:
        return read(value)
    except ValidationError as error:
        offence = error.errors(include_url=False, include_context=False, include_input=False)
        # What was noted below goes with it: one thing is lost, not several.
        reading.lost = {**noted, way: (*way, *(str(part) for part in offence[0]["loc"]))}
        return None
    finally:
        reading.way = before


def _read_expected(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if value is None:
        with reading_of(info).within(_name(info)) as way:
            reading_of(info).lost[way] = way
    return _read_detail(value, read, info)


def reading_of(info: ValidationInfo) -> Reading:
    """Return what is noted of the record that is being read."""
    return info.context if isinstance(info.context, Reading) else Reading()


def _name(info: ValidationInfo) -> str:
    return _camel(info.field_name or "")


# The fields of the wire models: some dozens.
_camel = cache(to_camel)


_T = TypeVar("_T")

# An essential object with details of its own: they are noted with their way through it.
Part = Annotated[_T, WrapValidator(_read_part)]
# May be missing or null, which is the same.
Detail = Annotated[_T | None, WrapValidator(_read_detail)]
# Fanvue always sends it, so that it is noted when it is missing, too.
Expected = Annotated[_T | None, Field(validate_default=True), WrapValidator(_read_expected)]
