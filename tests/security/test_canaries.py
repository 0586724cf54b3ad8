"""Secrets go in everywhere; none may come out in a log or an error."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings as django_settings

from django_jugpush import reauthorize, revoke
from django_jugpush.access.logins import LOGIN_KEY
from django_jugpush.conf import derived_keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.mark.parametrize("debug", [False, True])
def test_tokens_logins_and_keys_stay_out_of_logs_and_errors(
    servers, open_tab, browser, alice, bob, caplog, settings, debug
):
    """Whether what is asked succeeds, is refused, or fails."""
    settings.DEBUG = debug
    caplog.set_level(logging.DEBUG)
    user = browser("alice")
    page = user.tokens()
    tab = open_tab(servers[0])
    answers = [
        tab.subscribe("orders", page["orders"]),
        tab.subscribe("ruled", page.connection),
        tab.subscribe("elsewhere", page["orders"]),
        tab.subscribe("damaged", page["orders"][:-1]),
        tab.subscribe("mine", browser("bob").tokens().connection),
    ]
    reauthorize(alice)
    tab.unsubscribed()
    answers.append(tab.subscribe("orders", answers[0]["token"]))
    revoke(alice)
    secrets = {
        page["orders"],
        page["orders"].partition(":")[2],
        page.connection,
        answers[0]["token"],
        user.session[LOGIN_KEY][0],
        django_settings.SECRET_KEY,
        *(derived_keys(purpose)[0].hex() for purpose in ("subscription", "resume", "connection", "control")),
    }
    said = caplog.text + repr([answer for answer in answers if answer["type"] == "error"])
    assert "refused" in caplog.text
    assert [secret for secret in secrets if secret in said] == []
