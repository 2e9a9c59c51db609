"""Essentials and details: what a record cannot do without, and what it is read without.

An essential is a plain field: unreadable, it takes its record along. A detail that cannot be
read is None and is noted by its JSON path, and the record is read all the same. Never a value is
noted, since values are personal data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, WrapValidator
from pydantic.alias_generators import to_camel


if TYPE_CHECKING:
    from pydantic import ValidatorFunctionWrapHandler


Path: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class Reading:
    """What is noted while one record is read: each lost detail, and where in it the offence is.

    Both ways begin at the record that is being read; a field adds its name when it was read.
    """

    lost: list[tuple[Path, Path]] = field(default_factory=list)

    def has_lost(self, *names: str) -> bool:
        """Tell whether one of these fields of the record itself could not be read."""
        return any(way == (name,) for way, _ in self.lost for name in names)

    def below(self, name: str, first: int) -> None:
        """Lead what was noted from `first` on through a field of that name."""
        self.lost[first:] = [((name, *way), (name, *at)) for way, at in self.lost[first:]]


def _read_part(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    reading = reading_of(info)
    noted = len(reading.lost)
    part = read(value)
    if len(reading.lost) > noted:
        reading.below(_name(info), noted)
    return part


def _read_detail(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    # A dozen details a row, fifty rows a page: what is rarely noted is named when it is.
    if value is None:
        return None
    reading = reading_of(info)
    noted = len(reading.lost)
    try:
        detail = read(value)
    except ValidationError as error:
        offence = error.errors(include_url=False, include_context=False, include_input=False)
        # What was noted below goes with it: one thing is lost, not several.
        del reading.lost[noted:]
        name = _name(info)
        reading.lost.append(((name,), (name, *(str(part) for part in offence[0]["loc"]))))
        return None
    if len(reading.lost) > noted:
        reading.below(_name(info), noted)
    return detail


def _read_expected(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if value is None:
        reading_of(info).lost.append(((_name(info),),) * 2)
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
