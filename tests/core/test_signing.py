from __future__ import annotations

import pytest

from django_jugpush.core.signing import WINDOW, Signature, is_nonce, is_proof, make_proof, sign_request

OLD, NEW, FOREIGN = b"o" * 32, b"n" * 32, b"f" * 32
NOW = 1_800_000_000.25
REQUEST = {"method": "POST", "path": "publish", "body": b'{"v":1}'}
NONCE = "a" * 32


@pytest.fixture
def signature():
    return sign_request(NEW, **REQUEST, now=NOW)


def test_signature_survives_the_header(signature):
    """What is written is what is read."""
    assert Signature.parse(str(signature)) == signature


def test_every_key_verifies(signature):
    """A request signed with a key that is only a fallback on the other side passes."""
    assert signature.matches([OLD, NEW], **REQUEST)


def test_foreign_key_does_not_verify(signature):
    """Another project's key, or one derived for something else, is no use."""
    assert not signature.matches([OLD, FOREIGN], **REQUEST)
    assert not signature.matches([], **REQUEST)


@pytest.mark.parametrize("change", [{"method": "PUT"}, {"path": "hello"}, {"body": b'{"v":2}'}, {"body": b""}])
def test_signature_is_for_one_request(signature, change):
    """Method, path and body are covered."""
    assert not signature.matches([NEW], **REQUEST | change)


def test_signature_covers_the_time(signature):
    """A request cannot be made younger."""
    assert not Signature(signature.time_ms + 1, signature.mac).matches([NEW], **REQUEST)


def test_parts_cannot_be_moved_into_each_other():
    """Fields are separated, so that the end of one is not the beginning of the next."""
    one = sign_request(NEW, method="POST", path="publish1", body=b"", now=NOW)
    other = sign_request(NEW, method="POST", path="publish", body=b"", now=NOW)
    assert one.mac != other.mac


@pytest.mark.parametrize("offset", [-WINDOW, 0, WINDOW])
def test_signature_is_timely_within_the_window(signature, offset):
    """Clocks may differ by a minute, in either direction."""
    assert signature.is_timely(now=signature.time_ms / 1000 + offset)


@pytest.mark.parametrize("offset", [-WINDOW - 0.01, WINDOW + 0.01])
def test_signature_is_not_timely_outside_the_window(signature, offset):
    """Older and younger requests are out."""
    assert not signature.is_timely(now=signature.time_ms / 1000 + offset)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=1",
        "v=2, t=1, mac=" + "0" * 64,
        "v=1, t=-1, mac=" + "0" * 64,
        "v=1, t=1, mac=" + "0" * 63,
        "v=1, t=1, mac=" + "A" * 64,
        "v=1, t=1, mac=" + "0" * 64 + "\n",
        "v=1, t=" + "9" * 5000 + ", mac=" + "0" * 64,
        "v=1, t=١, mac=" + "0" * 64,
    ],
)
def test_anything_else_is_no_signature(text):
    """There is one way to write a signature."""
    assert Signature.parse(text) is None


def test_proof_answers_one_question():
    """A proof is for this nonce, this address and this key."""
    proof = make_proof(NEW, nonce=NONCE, address="127.0.0.1:8000")
    assert is_proof([OLD, NEW], proof, nonce=NONCE, address="127.0.0.1:8000")
    assert not is_proof([OLD, NEW], proof, nonce="b" * 32, address="127.0.0.1:8000")
    assert not is_proof([OLD, NEW], proof, nonce=NONCE, address="127.0.0.1:8001")
    assert not is_proof([OLD, NEW], proof, nonce=NONCE, address="")
    assert not is_proof([FOREIGN], proof, nonce=NONCE, address="127.0.0.1:8000")


def test_proof_by_any_shared_key_will_do():
    """While keys are rotated, the two sides share only some."""
    answer = "\n".join(make_proof(key, nonce=NONCE, address="") for key in [FOREIGN, OLD])
    assert is_proof([NEW, OLD], answer, nonce=NONCE, address="")


def test_few_lines_of_an_answer_are_looked_at():
    """A stranger's answer may be long."""
    proof = make_proof(NEW, nonce=NONCE, address="")
    assert is_proof([NEW], "\n" * 15 + proof, nonce=NONCE, address="")
    assert not is_proof([NEW], "\n" * 16 + proof, nonce=NONCE, address="")


@pytest.mark.parametrize("answer", ["", "\n\n", "é", "0" * 64, "<html>"])
def test_nonsense_is_no_proof(answer):
    """Whatever a stranger answers is compared, and differs."""
    assert not is_proof([NEW], answer, nonce=NONCE, address="")


def test_proof_is_no_signature():
    """A server that answers questions does not thereby sign requests."""
    nonce = "POST\npublish"
    assert not is_nonce(nonce)
    assert is_nonce("0aZ_-" * 5)
    assert not is_nonce("a" * 21)
    assert not is_nonce("a" * 65)
