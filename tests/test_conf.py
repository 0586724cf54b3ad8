"""``JUGPUSH`` becomes one frozen value, and everything that is wrong with it is said at once."""

from __future__ import annotations

import dataclasses

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_jugpush.conf import Config, derived_keys, get_config, read_config


@override_settings(JUGPUSH={})
def test_every_key_has_a_default():
    """An empty setting, or none, is a configuration."""
    assert get_config() == Config()


def test_the_configuration_is_frozen():
    """Nobody changes it but by the setting."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_config().NAMESPACE = "other"


def test_a_changed_setting_is_read_again():
    """Tests override the setting as they do any other."""
    with override_settings(JUGPUSH={"MAX_PENDING": 7}):
        assert get_config().MAX_PENDING == 7
    assert get_config().MAX_PENDING == Config().MAX_PENDING


def test_every_problem_is_collected_and_the_rest_is_kept():
    """One wrong key hides neither the next wrong one nor the right ones."""
    config, problems = read_config({"BROKR": "dummy://", "MAX_PENDING": "many", "NAMESPACE": "shop"})
    assert [problem.key for problem in problems] == ["BROKR", "MAX_PENDING"]
    assert problems[0].hint == "Did you mean 'BROKER'?"
    assert config == Config(NAMESPACE="shop")


@override_settings(JUGPUSH={"BROKR": "dummy://", "MAX_PENDING": "many"})
def test_a_wrong_setting_raises_with_every_problem():
    """Who starts without checks is told by the exception."""
    with pytest.raises(ImproperlyConfigured, match=r"BROKR.*MAX_PENDING"):
        get_config()


def test_a_setting_that_is_no_dict_is_a_problem():
    """The setting as a whole can be wrong."""
    config, [problem] = read_config(["BROKER"])
    assert (config, problem.key) == (Config(), None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("BROKER", ""),
        ("BROKER", 6379),
        ("PUBLIC_URL", "juggernaut/"),
        ("PUBLIC_URL", "//push.example.com/"),
        ("PUBLIC_URL", "ftp://push.example.com/"),
        ("PUBLIC_URL", "https://push.example.com:x/"),
        ("PUBLIC_URL", "/juggernaut/?a=b"),
        ("PUBLIC_URL", None),
        ("SERVER_URL", "/juggernaut/"),
        ("SERVER_URL", "localhost:8080"),
        ("NAMESPACE", "a b"),
        ("NAMESPACE", ""),
        ("USER_CHANNEL", "name_of_user"),
        ("USER_CHANNEL", str),
        ("ALLOWED_ORIGINS", "https://www.example.com"),
        ("ALLOWED_ORIGINS", ["www.example.com"]),
        ("ALLOWED_ORIGINS", ["https://www.example.com/"]),
        ("PUBLISH_FROM", ["10.0.0.0/99"]),
        ("HISTORY", 100),
        ("HISTORY", (100, 0)),
        ("HISTORY", (-1, 300)),
        ("HISTORY", (1.5, 300)),
        ("HISTORY", (100_001, 300)),
        ("HISTORY", (True, 300)),
        ("HISTORY", (100, float("inf"))),
        ("HISTORY", (100, 30 * 86_400 + 1)),
        ("HISTORY", (100, 300, 1)),
        ("REFRESH_RATE", 0),
        ("REFRESH_RATE", "50"),
        ("MAX_MESSAGE_SIZE", 0),
        ("MAX_MESSAGE_SIZE", 1.5),
        ("MAX_SUBSCRIPTIONS", True),
        ("MAX_CHANNELS", None),
        ("MAX_CONNECTIONS", 0),
        ("MAX_CONNECTIONS_PER_ADDRESS", "many"),
        ("MAX_CONNECTIONS_PER_USER", -1),
        ("REQUIRE_ORIGIN", 1),
        ("LEGACY_CHANNEL", ""),
        ("LEGACY_CHANNEL", "two words"),
        ("LEGACY_CHANNEL", True),
        ("CLIENT_EVENTS", None),
        ("CLIENT_EVENTS", ["public"]),
        ("PING_INTERVAL", 0),
        ("PING_INTERVAL", float("inf")),
        ("PING_INTERVAL", "25"),
    ],
)
def test_a_value_that_cannot_be_meant_is_a_problem(key, value):
    """It leaves the default."""
    config, [problem] = read_config({key: value})
    assert (config, problem.key) == (Config(), key)
    assert problem.hint.startswith("It must be ")


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("BROKER", "dummy://", "dummy://"),
        ("PUBLIC_URL", "/", "/"),
        ("PUBLIC_URL", "/push", "/push/"),
        ("PUBLIC_URL", "https://push.example.com", "https://push.example.com/"),
        ("SERVER_URL", "http://[::1]:8080/juggernaut", "http://[::1]:8080/juggernaut/"),
        ("ALLOWED_ORIGINS", ["https://*.example.com", "null"], ("https://*.example.com", "null")),
        ("PUBLISH_FROM", ["10.0.0.0/8", "192.168.1.7"], ("10.0.0.0/8", "192.168.1.7")),
        ("HISTORY", [0, 1], (0, 1.0)),
        ("HISTORY", (100_000, 30 * 86_400), (100_000, 2_592_000.0)),
        ("MAX_CONNECTIONS_PER_USER", None, None),
        ("MAX_CONNECTIONS", 500, 500),
        ("PING_INTERVAL", 30, 30.0),
    ],
)
def test_a_value_is_brought_into_one_form(key, value, read):
    """Who reads the configuration need not ask for a slash or a type."""
    config, problems = read_config({key: value})
    assert (getattr(config, key), problems) == (read, [])


def test_a_password_in_a_url_is_not_repeated():
    """The text of a problem comes into logs."""
    _, [problem] = read_config({"SERVER_URL": "redis://:s3cret@host/"})
    assert "s3cret" not in problem.message + problem.hint


def test_keys_differ_by_purpose_and_namespace():
    """A signature made for one thing is no signature for another."""
    keys = {derived_keys("publish")[0], derived_keys("subscription")[0]}
    with override_settings(JUGPUSH={"NAMESPACE": "staging"}):
        keys.add(derived_keys("publish")[0])
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)


def test_fallback_keys_follow_the_first():
    """What was signed before the rotation is still verified."""
    before = derived_keys("publish")
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=["the key of the tests, which guards nothing"]):
        assert derived_keys("publish")[1:] == before
