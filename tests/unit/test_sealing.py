"""Sealed tokens open only with their key, in their row and column, and unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Misconfigured, SealBroken
from worker.sealing import Keyring, SealingKey, is_sealed


VECTORS = json.loads(
    (Path(__file__).parents[1] / "contract" / "vectors" / "sealing.json").read_text("utf-8")
)
MODEL = UUID("7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01")
COLUMN = "fanvue_refresh_token"
OLD, NEW = SealingKey("old", b"o" * 32), SealingKey("new", b"n" * 32)


def keyring_of_vectors(first: str) -> Keyring:
    parsed = [SealingKey.parse(text) for text in VECTORS["keys"]]
    return Keyring(sorted(parsed, key=lambda key: key.id != first))


@given(text=st.text(), model=st.uuids())
def test_what_was_sealed_opens_again(text: str, model: UUID) -> None:
    ring = Keyring([NEW, OLD])

    opened = ring.open(ring.seal(text, model, COLUMN), model, COLUMN)

    assert opened.value == text
    assert opened.key_id == "new"
    assert not opened.was_plaintext


@given(data=st.data())
def test_any_change_of_a_sealed_value_is_noticed(data: st.DataObject) -> None:
    ring = Keyring([NEW])
    sealed = ring.seal("made-up-token", MODEL, COLUMN)
    position = data.draw(st.integers(len("fse1.new."), len(sealed) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != sealed[position]))

    with pytest.raises(SealBroken) as caught:
        ring.open(sealed[:position] + other + sealed[position + 1 :], MODEL, COLUMN)

    assert "made-up-token" not in str(caught.value)


@given(cut=st.integers(1, 40))
def test_a_shortened_value_is_noticed(cut: int) -> None:
    ring = Keyring([NEW])
    sealed = ring.seal("", MODEL, COLUMN)

    with pytest.raises((SealBroken, Misconfigured)):
        ring.open(sealed[: max(len(sealed) - cut, len("fse1."))], MODEL, COLUMN)


def test_a_value_moved_to_another_row_or_column_does_not_open() -> None:
    ring = Keyring([NEW])
    sealed = ring.seal("made-up", MODEL, COLUMN)

    with pytest.raises(SealBroken):
        ring.open(sealed, UUID(int=1), COLUMN)
    with pytest.raises(SealBroken):
        ring.open(sealed, MODEL, "fanvue_access_token")


def test_the_case_of_the_model_id_does_not_matter() -> None:
    ring = Keyring([NEW])
    sealed = ring.seal("made-up", str(MODEL).upper(), COLUMN)

    assert ring.open(sealed, MODEL, COLUMN).value == "made-up"


def test_plain_text_of_an_older_application_passes_and_asks_to_be_sealed() -> None:
    ring = Keyring([NEW])

    opened = ring.open("plain-old-token", MODEL, COLUMN)

    assert opened.value == "plain-old-token"
    assert opened.was_plaintext
    assert ring.needs_sealing("plain-old-token")
    assert "plain-old-token" not in repr(opened)


def test_after_a_rotation_old_values_open_and_ask_for_the_new_key() -> None:
    sealed = Keyring([OLD]).seal("made-up", MODEL, COLUMN)
    ring = Keyring([NEW, OLD])

    assert ring.open(sealed, MODEL, COLUMN).key_id == "old"
    assert ring.needs_sealing(sealed)
    assert not ring.needs_sealing(ring.seal("made-up", MODEL, COLUMN))
    assert ring.key_ids == ("new", "old")


def test_a_missing_key_is_named() -> None:
    sealed = Keyring([OLD]).seal("made-up", MODEL, COLUMN)

    with pytest.raises(Misconfigured, match="'old'") as caught:
        Keyring([NEW]).open(sealed, MODEL, COLUMN)

    assert not isinstance(caught.value, SealBroken)
    assert "TOKEN_ENCRYPTION_KEYS" in caught.value.remedy


def test_an_exchanged_key_under_the_same_id_says_so() -> None:
    sealed = Keyring([OLD]).seal("made-up", MODEL, COLUMN)

    with pytest.raises(SealBroken, match="key bytes differ"):
        Keyring([SealingKey("old", b"x" * 32)]).open(sealed, MODEL, COLUMN)


def test_no_keys_at_all_is_a_setting_to_correct() -> None:
    with pytest.raises(Misconfigured, match="no key"):
        Keyring([])


def test_keys_are_never_shown() -> None:
    assert "nnnn" not in repr(NEW)


@pytest.mark.parametrize("vector", VECTORS["sealed"], ids=lambda vector: vector["name"])
def test_every_vector_seals_to_the_same_bytes_and_opens(vector: dict[str, str]) -> None:
    nonce = bytes.fromhex(vector["nonce_hex"])
    parsed = [SealingKey.parse(text) for text in VECTORS["keys"]]
    sealing = Keyring(
        [key for key in parsed if key.id == vector["key_id"]], random_bytes=lambda _: nonce
    )

    assert (
        sealing.seal(vector["plaintext"], vector["model_id"], vector["column"])
        == (vector["sealed"])
    )
    opened = keyring_of_vectors("k2").open(vector["sealed"], vector["model_id"], vector["column"])
    assert opened.value == vector["plaintext"]
    assert opened.key_id == vector["key_id"]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["name"])
def test_every_vector_to_refuse_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(Misconfigured) as caught:
        keyring_of_vectors("k1").open(vector["stored"], vector["model_id"], vector["column"])

    assert caught.value.code == vector["error"]


@pytest.mark.parametrize("vector", VECTORS["plain"], ids=lambda vector: vector["name"])
def test_every_plain_vector_passes_through(vector: dict[str, str]) -> None:
    assert not is_sealed(vector["stored"])
    opened = keyring_of_vectors("k1").open(vector["stored"], str(MODEL), COLUMN)

    assert opened.value == vector["stored"]


def test_what_was_sealed_for_one_table_does_not_open_in_another() -> None:
    ring = Keyring([NEW])
    sealed = ring.seal("made-up", MODEL, "secret", table="webhook_subscriptions")

    assert ring.open(sealed, MODEL, "secret", table="webhook_subscriptions").value == "made-up"
    with pytest.raises(SealBroken, match="secret of model "):
        ring.open(sealed, MODEL, "secret")
