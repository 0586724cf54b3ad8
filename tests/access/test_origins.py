from __future__ import annotations

import pytest

from django_jugpush.access.origins import origin_allowed


def allowed(origin, *, scheme="https", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return origin_allowed(origin, scheme=scheme, headers=names)


@pytest.fixture(autouse=True)
def hosts(settings):
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["example.com", ".example.org", "[2001:db8::1]"]
    settings.CSRF_TRUSTED_ORIGINS = []


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.com",
        "https://example.com:8443",
        "https://EXAMPLE.com",
        "https://example.org",
        "https://a.b.example.org",
        "https://[2001:db8::1]:8000",
    ],
)
def test_hosts_of_the_site_may_connect(origin):
    """ALLOWED_HOSTS is enough for a usual project."""
    assert allowed(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://notexample.com",
        "https://sub.example.com",
        "https://example.com.evil.example",
        "https://example.com@evil.example",
        "https://evil.example#example.com",
        "https://evil.example/example.com",
        "https://example.com ",
        "https://example.com\n",
        "https://exаmple.com",
        "ftp://example.com",
        "file://",
        "null",
        "",
        "example.com",
        "//example.com",
    ],
)
def test_other_pages_may_not(origin):
    """Neither foreign hosts, nor what only looks like one of ours."""
    assert not allowed(origin)


def test_page_without_tls_may_not_act_on_a_site_with_it():
    """Whoever owns the network can write an http:// page of any host."""
    assert not allowed("http://example.com")
    assert allowed("http://example.com", scheme="http")
    assert allowed("https://example.com", scheme="http")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://site.example", "https://site.example"])
def test_wildcard_host_lets_no_page_in_by_itself(settings, origin):
    """ALLOWED_HOSTS = ["*"] says nothing about pages, and Host is never a reason."""
    settings.ALLOWED_HOSTS = ["*"]
    assert not allowed(origin, host="site.example")
    settings.CSRF_TRUSTED_ORIGINS = ["https://site.example"]
    assert allowed("https://site.example")
    assert not allowed("https://evil.example")


@pytest.mark.parametrize("hosts", [[], ["*"]])
def test_local_hosts_may_connect_under_debug_where_none_is_named(settings, hosts):
    """A fresh project works, and is still closed to the pages that its developer visits."""
    settings.ALLOWED_HOSTS = hosts
    local = ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "http://a.localhost"]
    assert not any(allowed(origin, scheme="http") for origin in local)
    settings.DEBUG = True
    assert all(allowed(origin, scheme="http") for origin in local)
    assert not allowed("http://evil.example", scheme="http")


def test_listed_origins_are_compared_whole(settings):
    """Scheme, host and port count; a star stands for the domain and its subdomains, as it does for Django."""
    settings.JUGPUSH = {"ALLOWED_ORIGINS": ["https://www.example.net", "https://*.example.net:8443"]}
    assert allowed("https://www.example.net")
    assert allowed("https://www.example.net:443")
    assert allowed("https://a.example.net:8443")
    assert not allowed("http://www.example.net")
    assert not allowed("https://www.example.net:444")
    assert not allowed("https://a.example.net")
    assert allowed("https://example.net:8443")
    assert not allowed("https://evilexample.net:8443")


def test_listed_origin_without_tls_may_connect(settings):
    """What the project wrote down, it meant."""
    settings.CSRF_TRUSTED_ORIGINS = ["http://intranet.example"]
    assert allowed("http://intranet.example")


def test_program_without_an_origin_may_connect():
    """Only browsers send the header."""
    assert allowed(None)
    assert allowed(None, sec_fetch_site="same-origin", sec_fetch_mode="cors")


@pytest.mark.parametrize(
    "headers", [{"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"sec_fetch_mode": "no-cors"}]
)
def test_images_and_scripts_of_a_page_may_not_hold_connections(headers):
    """A browser says what it fetches for, where it sends no Origin."""
    assert not allowed(None, **headers)


def test_programs_without_an_origin_can_be_kept_out(settings):
    """Where only browsers are meant to come."""
    settings.JUGPUSH = {"REQUIRE_ORIGIN": True}
    assert not allowed(None)
    assert allowed("https://example.com")
