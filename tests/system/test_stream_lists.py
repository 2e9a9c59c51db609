"""Lists that end early, shrink, or are longer than a slice; and what may not be read or kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.audience_books import FAMILIES, POLLED, AudienceBooks, first_sync


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.engine import Engine


pytestmark = pytest.mark.system


@FAMILIES
@pytest.mark.parametrize("sync_type", ["subscribers", "followers", "posts"])
def test_a_full_walk_sees_who_left(
    books: Callable[..., AudienceBooks], family: str, sync_type: str
) -> None:
    b = books(family)
    first_sync(b, sync_type)
    b.engine.pass_time(60)
    fanvue, creator = b.engine.fanvue, b.creator
    if sync_type == "subscribers":
        fanvue.cancel_subscriptions(creator, 4)
    elif sync_type == "followers":
        fanvue.unfollow(creator, count=4)
    else:
        fanvue.delete_posts(creator, *list(fanvue.audience(creator).posts)[:4])

    # Missed twice means gone: numbered pages shift while they are read.
    b.sync(sync_type, full=True)
    b.engine.pass_time(60)
    b.sync(sync_type, full=True)

    b.assert_exact(sync_type)


@FAMILIES
@pytest.mark.parametrize("sync_type", ["subscribers", "followers", "posts"])
def test_a_list_that_ends_early_ends_nobody(
    books: Callable[..., AudienceBooks], family: str, sync_type: str
) -> None:
    b = books(family)
    first_sync(b, sync_type)

    for share in (0.5, 0):
        b.engine.fanvue.turn(list_share={f"/{sync_type}": share})
        assert b.sync(sync_type, full=True)["state"] == "partial"
        b.assert_exact(sync_type)

    b.engine.fanvue.turn(list_share={})
    assert b.sync(sync_type)["state"] == "succeeded"
    b.assert_exact(sync_type)


@pytest.mark.parametrize("how", ["empty", "repeated"])
@pytest.mark.parametrize("sync_type", ["subscribers", "followers", "messages"])
def test_a_list_that_never_ends_is_partial_and_ends_nobody(
    books: Callable[..., AudienceBooks], sync_type: str, how: str
) -> None:
    b = books()
    path = "/chats" if sync_type == "messages" else f"/{sync_type}"
    b.engine.fanvue.turn(endless={path: how})

    result = b.sync(sync_type, full=True)

    assert result["state"] == "partial"
    assert "go on and bring nothing new" in result["error"]["message"]
    listed = [call for call in b.calls() if call["path"].endswith(path)]
    assert 20 <= len(listed) < 40
    b.assert_exact(sync_type)


@pytest.mark.parametrize("sync_type", ["posts", "message_history"])
def test_a_numbered_list_that_repeats_for_ever_is_partial(
    books: Callable[..., AudienceBooks], sync_type: str
) -> None:
    b = books("unversioned")
    if sync_type == "message_history":
        b.sync("messages")
    path = "/posts" if sync_type == "posts" else "/chats/{userUuid}/messages"
    b.engine.fanvue.turn(endless={path: "repeated"})
    b.engine.database.execute("update public.fanvue_chats set history_done = false")

    result = b.sync(sync_type, full=sync_type == "posts")

    assert result["state"] == "partial"
    assert "go on" in result["error"]["message"]
    b.assert_exact(sync_type)


@FAMILIES
def test_a_long_history_comes_in_slices_and_is_whole(
    books: Callable[..., AudienceBooks], family: str
) -> None:
    b = books(family, messages=0)
    b.engine.fanvue.add_history(b.creator, 1000, fans=8, days=90, ties=150)
    b.sync("messages")

    result = b.sync("message_history", WORKER_SLICE_PAGES="7")

    assert result["state"] == "succeeded"
    b.assert_exact("message_history")
    assert len(b.calls()) <= 1000 / 50 + 8 * 2


def test_a_text_that_is_not_to_be_kept_is_nowhere(books: Callable[..., AudienceBooks]) -> None:
    b = books()
    b.engine.database.execute(
        "insert into private.sync_overrides (model_id, sync_type, keep_text)"
        " select %s, sync_type, false from private.sync_streams where sync_type like 'message%%'",
        (b.model,),
    )

    first_sync(b, "message_history")

    ours = b.rows("select body from public.fanvue_messages where model_id = %(model)s")
    assert len(ours) == b.truth().messages
    assert {row[0] for row in ours} == {None}


@FAMILIES
def test_a_chat_that_was_deleted_meanwhile_is_passed_over(
    books: Callable[..., AudienceBooks], family: str
) -> None:
    b = books(family, messages=0)
    b.engine.fanvue.add_history(b.creator, 400, fans=3, days=30)
    b.sync("messages")
    b.engine.fanvue.delete_chat(b.creator, next(iter(b.truth().chats)))

    result = b.sync("message_history")

    assert result["state"] == "succeeded"
    assert b._true_messages(b.truth()) <= b._messages()


def test_a_scope_that_was_not_granted_is_named(engine: Engine) -> None:
    creator = engine.fanvue.add_creators()[0]["uuid"]
    engine.connect(creator, scopes=["offline_access", "read:creator"])
    engine.database.execute("update private.sync_streams set enabled = true")
    b = AudienceBooks(engine, creator)

    states = {sync_type: b.sync(sync_type)["state"] for sync_type in POLLED}

    assert states == dict.fromkeys(POLLED, "failed")
    jobs = engine.database.execute(
        "select sync_type, state, last_error ->> 'remedy' from public.sync_jobs"
    ).fetchall()
    assert {(name, state) for name, state, _ in jobs} == {(name, "dead") for name in POLLED}
    assert all(f"{name} takes read:" in remedy for name, _, remedy in jobs)
