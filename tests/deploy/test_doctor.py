"""``manage.py juggernaut_doctor`` at the bedside of the production stack: what is broken is what it says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.site import MANAGE, wait_until


@pytest.fixture
def doctor(site):
    """Call the doctor; return the exit code and what it says."""

    def call(*arguments: str, url: str = site.url, **environ: str) -> tuple[int, str]:
        result = subprocess.run(
            [sys.executable, MANAGE, "juggernaut_doctor", "--no-color", "--url", url, *arguments],
            env=site.environ | {"SSL_CERT_FILE": str(site.certificate), "PYTHONUTF8": "1"} | environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return result.returncode, result.stdout

    return call


def test_a_healthy_site(doctor):
    """Every step of the way was tried, and is well; so it is for the checks before a deployment."""
    code, said = doctor()
    assert code == 0, said
    assert [line.split(":")[0] for line in said.splitlines()] == [
        f"✓ {step}" for step in ("Settings", "Broker", "Memory", "Server", "Connection", "Origins", "Round trip")
    ]


def test_a_terminal_that_has_ascii_only(doctor):
    """The marks are words."""
    code, said = doctor(PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert code == 0 and said.startswith("ok Settings")


def test_redis_is_down(site, doctor):
    """It is said by this side and by the other."""
    site.redis.stop()
    try:
        wait_until(lambda: not site.is_ready(), what=site.logs)
        code, said = doctor()
    finally:
        site.redis.start()
        wait_until(site.is_ready, what=site.logs)
    assert code == 1
    assert "✗ Broker: Redis cannot be reached" in said and "Start Redis" in said
    assert "is not ready: the broker cannot be heard" in said
    assert "– Round trip" in said


def test_the_push_server_is_down(site, doctor):
    """Past the proxy nobody is there, and the proxy has nobody to send to."""
    site.stop_one("push")
    try:
        code, said = doctor()
    finally:
        site.start_push()
        wait_until(site.is_ready, what=site.logs)
    assert code == 1
    assert "✗ Server: There is no push server at" in said
    assert "✗ Connection: The proxy does not reach the push server: it answers with status 502." in said
    assert "Start `manage.py juggernaut`" in said


@pytest.mark.parametrize(
    ("line", "sentence", "remedy"),
    [
        (
            "    proxy_set_header Upgrade $http_upgrade;\n",
            "✗ Connection: The push server is reached, but the proxy drops the headers",
            "proxy_set_header Upgrade $http_upgrade",
        ),
        (
            "    proxy_set_header X-Forwarded-Proto $scheme;\n",
            "✗ Origins: The push server does not know that browsers come by HTTPS",
            "proxy_set_header X-Forwarded-Proto $scheme",
        ),
        (
            "        proxy_pass http://push;\n",
            "✗ Connection: Nobody has a push server at /juggernaut/",
            "Have the proxy send /juggernaut/ to the push server",
        ),
    ],
)
def test_the_proxy_lacks_a_line(site, doctor, line, sentence, remedy):
    """And the remedy names it."""
    whole = site.nginx_conf()
    assert line in whole
    site.restart_nginx(whole.replace(line, ""))
    try:
        code, said = doctor()
    finally:
        site.restart_nginx(whole)
    assert code == 1
    assert sentence in said and remedy in said


def test_the_proxy_is_down(doctor):
    """Or the address is another."""
    code, said = doctor(url="https://127.0.0.1:9")
    assert code == 1 and "✗ Connection: Nobody can be reached at 127.0.0.1:9" in said


def test_a_page_of_a_host_that_the_settings_do_not_name(site, doctor):
    """ALLOWED_HOSTS has the address only."""
    code, said = doctor(url=site.url.replace("127.0.0.1", "localhost"))
    assert code == 1
    assert "✗ Connection: The push server does not let pages of https://localhost" in said
    assert "Add the host to ALLOWED_HOSTS" in said


def test_a_page_without_tls(site, doctor):
    """The proxy sends everything to HTTPS, and a WebSocket does not follow."""
    code, said = doctor(url=f"http://127.0.0.1:{site.http_port}")
    assert code == 1 and "✗ Connection: The address of the push server answers with a redirect" in said


def test_a_certificate_that_nobody_knows(doctor):
    """It is signed by itself."""
    code, said = doctor(SSL_CERT_FILE="")
    assert code == 1 and "is not trusted here: self-signed certificate." in said


@pytest.mark.parametrize(
    "environ",
    [{"SECRET_KEY": "another"}, {"DJANGO_SETTINGS_MODULE": "tests.deploy.elsewhere"}],
    ids=["key", "namespace"],
)
def test_the_push_server_has_other_settings(doctor, environ):
    """What is signed here is not taken there."""
    code, said = doctor(**environ)
    assert code == 1
    assert "✗ Round trip: The push server does not take what these settings sign." in said
    assert "the same SECRET_KEY" in said and "the same NAMESPACE" in said
