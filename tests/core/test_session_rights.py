"""What a session does about rights: tokens, renewal, and subscriptions that the server ends."""

from __future__ import annotations

import pytest

from django_jugpush.core.codec import encode
from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.commands import Renewed, Subscribed, Unsubscribed
from django_jugpush.core.events import SubscribeRequested, SubscriptionEnded
from django_jugpush.core.grants import Grant
from django_jugpush.core.session import Session


def grant(channel="orders", **claims):
    return Grant(channel=channel, granted_by="page", **claims)


def session(**options):
    connected = Session(client="c" * 16, **options)
    connected.connect("1", now=0, place=0.5)
    connected.data_to_send()
    return connected


def subscribe(session, given, **answer):
    session.receive_data(f'{{"type":"subscribe","id":1,"channel":"{given.channel}","token":"x"}}', now=0)
    (event,) = [event for event in session.events_received() if isinstance(event, SubscribeRequested)]
    session.accept(event.request, given, **answer)
    session.events_received()
    return session.data_to_send()


def test_answer_brings_the_token_for_the_next_time():
    (answer,) = subscribe(session(), grant(), token="resume")
    assert isinstance(answer, Subscribed)
    assert answer.token == "resume"


def test_page_of_an_answer_that_is_not_the_last_brings_none():
    """Nothing is subscribed yet."""
    (answer,) = subscribe(session(), grant(), token="resume", more=True)
    assert answer.token is None


class TestEnd:
    def test_is_told_without_an_id(self):
        """It is no answer to anything."""
        one = session()
        subscribe(one, given := grant())
        one.end_subscription("orders", ErrorCode.REAUTHORIZE, spread=400)
        assert one.events_received() == [SubscriptionEnded(channel="orders", grant=given)]
        (word,) = one.data_to_send()
        assert encode(word) == (
            b'{"type":"unsubscribed","channel":"orders","code":110,"message":"ask again","temporary":true,"spread":400}'
        )
        assert one.grants == {}

    def test_says_why_only_where_it_may(self):
        for explain, message in ((False, "permission denied"), (True, "the rule says no")):
            one = session(explain=explain)
            subscribe(one, grant())
            one.end_subscription("orders", ErrorCode.DENIED, "the rule says no")
            (word,) = one.data_to_send()
            assert (word.message, word.temporary) == (message, False)

    def test_leaves_room_to_ask_again(self):
        one = session(max_subscriptions=1)
        subscribe(one, grant())
        one.end_subscription("orders", ErrorCode.REAUTHORIZE)
        one.data_to_send()
        assert isinstance(subscribe(one, grant())[0], Subscribed)

    def test_refusal_can_say_what_to_hand_on(self):
        one = session()
        one.receive_data('{"type":"subscribe","id":1,"channel":"orders","token":"x"}', now=0)
        (event,) = one.events_received()
        one.refuse(event.request, ErrorCode.TOKEN_EXPIRED, renew="message1", spread=400)
        (word,) = one.data_to_send()
        assert (word.code, word.renew, word.spread) == (109, "message1", 400)

    def test_unsubscribed_by_the_client_has_no_code(self):
        one = session()
        subscribe(one, grant())
        one.receive_data('{"type":"unsubscribe","id":2,"channel":"orders"}', now=0)
        (word,) = one.data_to_send()
        assert encode(word) == b'{"type":"unsubscribed","channel":"orders","id":2}'
        assert isinstance(word, Unsubscribed)


class TestRenewal:
    def test_comes_when_the_grants_time_has_come(self):
        """Each of them once."""
        one = session()
        subscribe(one, early := grant("a", renew_at=10.0))
        subscribe(one, late := grant("b", renew_at=20.0))
        subscribe(one, Grant(channel="public"))
        assert one.grants_to_renew(9.9) == []
        assert one.grants_to_renew(10.0) == [early]
        assert one.grants_to_renew(15.0) == []
        assert one.grants_to_renew(25.0) == [late]
        assert one.grants_to_renew(10**9) == []

    @pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
    def test_both_may_be_due(self, order):
        one = session()
        for channel in order:
            subscribe(one, grant(channel, renew_at=10.0))
        assert [due.channel for due in one.grants_to_renew(11.0)] == list(order)

    def test_replaces_the_grant_and_the_clients_token(self):
        one = session()
        subscribe(one, grant(renew_at=10.0))
        one.grants_to_renew(10.0)
        one.renew(renewed := grant(renew_at=100.0, expires=120.0), "next")
        assert one.grants == {"orders": renewed}
        assert one.data_to_send() == [Renewed(channel="orders", token="next")]
        assert one.events_received() == []
        assert one.grants_to_renew(100.0) == [renewed]

    def test_can_be_put_off(self):
        one = session()
        subscribe(one, given := grant(renew_at=10.0))
        one.grants_to_renew(10.0)
        one.put_off(given, until=15.0)
        assert one.grants_to_renew(14.0) == []
        assert one.grants_to_renew(15.0) == [given]
        assert one.data_to_send() == []

    def test_ended_subscription_is_not_renewed(self):
        one = session()
        subscribe(one, grant(renew_at=10.0))
        one.end_subscription("orders", ErrorCode.DENIED)
        assert one.grants_to_renew(11.0) == []
