"""Subscriptions that are about to expire."""

from __future__ import annotations

import asyncio
import time

import pytest

from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.grants import Grant
from django_jugpush.exceptions import SubscriptionDenied, TokenExpired

from .world import scenario, until


class TestRenewal:
    @staticmethod
    def due(world):
        (session,) = world.push.hub
        (grant,) = session.grants.values()
        session.put_off(grant, until=0)
        world.rights.tick_session(session)

    def test_goes_on_after_a_yes(self, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            self.due(world)
            assert await client.word() == {"type": "renewed", "channel": "orders", "token": "1/L1"}
            assert world.project.asked[0][0].reason == "renewal"
            assert world.push.counts.renewals["renewed"] == 1

        scenario(test)(monkeypatch)

    @pytest.mark.parametrize(
        ("error", "code"),
        [(SubscriptionDenied("no"), ErrorCode.DENIED), (TokenExpired("too old"), ErrorCode.TOKEN_EXPIRED)],
    )
    def test_ends_after_a_no(self, error, code, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()

            def unasked(grant):
                raise error

            world.project.unasked = unasked
            self.due(world)
            word = await client.word()
            assert (word["type"], word["code"]) == ("unsubscribed", code)
            assert world.push.counts.renewals["ended"] == 1

        scenario(test)(monkeypatch)

    def test_is_tried_again_while_the_project_cannot_answer(self, monkeypatch):
        """And ends, for the time being, only when the hour is over."""

        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()

            def unasked(grant):
                raise RuntimeError("the database is away")

            world.project.unasked = unasked
            self.due(world)
            await until(lambda: world.push.counts.renewals["put_off"])
            assert client.words() == []
            monkeypatch.setattr(world.rights._renewer, "_clock", lambda: time.time() + 4000)
            self.due(world)
            assert (await client.word())["code"] == ErrorCode.REAUTHORIZE

        scenario(test)(monkeypatch)

    def test_of_what_ended_meanwhile_is_nothing(self, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            self.due(world)
            world.push.connections.receive(client.connection, '{"type":"unsubscribe","id":2,"channel":"orders"}')
            assert (await client.word())["type"] == "unsubscribed"
            await until(lambda: world.project.asked)
            await asyncio.sleep(0.05)
            assert client.words() == []

        scenario(test)(monkeypatch)

    def test_of_a_channel_that_became_public_needs_no_token(self, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            world.project.unasked = lambda grant: Grant(channel="orders", namespace="tests")
            self.due(world)
            await until(lambda: world.push.counts.renewals["renewed"])
            world.publish()
            assert [word.get("data") for word in client.words()] == [1]

        scenario(test)(monkeypatch)
