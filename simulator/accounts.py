"""What happens to accounts and profiles while the world runs: payouts, status, new names."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from simulator.people import Creator, Fan
    from simulator.world import World


def pay_out(world: World, creator: Creator) -> int:
    """Pay out the whole available balance now; return the cents."""
    with world.lock:
        now = world.clock.now_ms()
        creator.ledger.settle(now)
        amount = creator.balance(now)
        creator.paid_out += amount
        creator.last_payout_at = now
        return amount


def set_status(world: World, creator: Creator, status: str) -> None:
    """Let an account be active or suspended; what it may do does not change."""
    with world.lock:
        creator.status = status


def rename_fan(
    world: World,
    creator: Creator,
    fan_uuid: str,
    *,
    handle: str | None = None,
    display_name: str | None = None,
) -> Fan:
    """Give a fan another handle or name, everywhere at once."""
    with world.lock:
        fan = creator.fan(fan_uuid)
        fan.handle = handle or fan.handle
        fan.display_name = display_name or fan.display_name
        return fan
