"""Many happenings at once: a minute in the life of many creators, in one control call.

Each order names a route that lets something happen and holds what that route would be sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from simulator.control.orders import Order


if TYPE_CHECKING:
    from collections.abc import Callable


class NewBatch(Order):
    """Orders, applied one after another; each has `do` and the fields of that route."""

    orders: list[dict[str, Any]] = Field(min_length=1)


class Batch:
    """Applies orders; the first that is wrong stops the batch and is named."""

    def __init__(self, acts: dict[str, Callable[[dict[str, str], Any], Any]]) -> None:
        self._acts = acts

    def apply(self, query: dict[str, str], body: Any) -> Any:
        """Let everything happen and return each order's answer."""
        answers = []
        for number, order in enumerate(NewBatch.model_validate(body).orders):
            name = str(order.get("do"))
            act = self._acts.get(name)
            if act is None:
                raise ValueError(f"order {number}: do must be one of {', '.join(self._acts)}")
            try:
                answers.append(act(query, {k: v for k, v in order.items() if k != "do"}))
            except ValidationError as error:
                raise ValueError(f"order {number} ({name}): {error}") from error
            except (KeyError, ValueError) as error:
                raise ValueError(f"order {number} ({name}): {error.args[0]}") from error
        return {"answers": answers}
