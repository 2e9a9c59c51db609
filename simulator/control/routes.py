"""The control API's routes: which path does what, and how mistakes are answered.

Loopback only and without any login; it must never look like part of Fanvue.
"""

from __future__ import annotations

import json
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.routing import Route

from simulator.control.batch import Batch
from simulator.control.life import Life
from simulator.control.money import Money
from simulator.control.press import Press
from simulator.control.records import Records
from simulator.control.steering import Steering
from simulator.replies import Reply, to_response


if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from simulator.simulation import Simulation


def control_routes(simulation: Simulation) -> list[Route]:
    """Return all routes of the control API."""
    money, life = Money(simulation), Life(simulation)
    steering, records = Steering(simulation), Records(simulation)
    press = Press(simulation)
    happenings: dict[str, Callable[[dict[str, str], Any], Any]] = {
        "sales": money.add_sales,
        "reversals": money.add_reversals,
        "status-flips": money.flip_statuses,
        "payouts": money.pay_out,
        "account-status": money.set_status,
        "purchases": money.buy_messages,
        "fans": life.add_fans,
        "fans/rename": life.rename_fan,
        "unfollows": life.unfollow,
        "unfollows/undo": life.follow_again,
        "cancellations": life.cancel_subscriptions,
        "subscriptions": life.change_subscriptions,
        "messages": life.add_messages,
        "messages/history": life.add_history,
        "messages/read": life.read_messages,
        "messages/delete": life.delete_messages,
        "chats/delete": life.delete_chat,
        "chats/mute": life.mute_chat,
        "posts": life.add_posts,
        "posts/react": life.react_to_posts,
        "posts/delete": life.delete_posts,
    }
    table: list[tuple[str, str, Callable[[dict[str, str], Any], Any]]] = [
        *(("POST", path, act) for path, act in happenings.items()),
        ("POST", "batch", Batch(happenings).apply),
        ("GET", "books", money.books),
        ("GET", "audience", records.read_audience),
        ("POST", "creators", life.add_creators),
        ("POST", "creators/move", life.move_creator),
        ("GET", "knobs", steering.read_knobs),
        ("PUT", "knobs", steering.replace_knobs),
        ("PATCH", "knobs", steering.update_knobs),
        ("GET", "faults", steering.read_faults),
        ("POST", "faults", steering.add_faults),
        ("DELETE", "faults", steering.clear_faults),
        ("GET", "clock", steering.read_clock),
        ("POST", "clock", steering.move_clock),
        ("POST", "grants", steering.add_grant),
        ("POST", "clients", steering.add_client),
        ("POST", "tokens/expire", steering.expire_tokens),
        ("POST", "tokens/kill-chain", steering.kill_chains),
        ("GET", "requests", records.read_requests),
        ("GET", "requests/counts", records.count_requests),
        ("DELETE", "requests", records.clear_requests),
        ("GET", "stats", records.read_stats),
        ("DELETE", "stats", records.clear_stats),
        ("GET", "world", records.read_world),
        ("POST", "webhooks/target", press.set_target),
        ("DELETE", "webhooks/target", press.drop_target),
        ("POST", "webhooks/send", press.send),
        ("POST", "webhooks/flush", press.flush),
        ("GET", "webhooks", press.read),
        ("DELETE", "webhooks", press.clear),
    ]
    return [
        Route(f"/_sim/{path}", _endpoint(simulation, act), methods=[method])
        for method, path, act in table
    ]


def _endpoint(
    simulation: Simulation, act: Callable[[dict[str, str], Any], Any]
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            body = json.loads(raw) if raw else {}
            with simulation.world.lock:
                answer = act(dict(request.query_params), body)
            if isawaitable(answer):
                answer = await answer
        except KeyError as error:
            return to_response(Reply({"error": str(error.args[0])}, 404))
        except ValidationError as error:
            details = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            return to_response(Reply({"error": "; ".join(details)}, 422))
        except (TypeError, ValueError) as error:
            return to_response(Reply({"error": str(error)}, 422))
        return to_response(Reply(answer))

    return endpoint
