"""The files of the recipes, as their own programs judge them."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from django_jugpush.brokers.redis import RedisBroker
from django_jugpush.conf import Config
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerError
from tests.papers import DOCS
from tests.redis_server import running_redis

from .stack import NGINX, RECIPES, make_certificate, need, nginx_command, recipe

COMPOSE = yaml.safe_load(recipe("docker/compose.yaml", {}))


def test_every_file_is_on_the_page():
    """As it is, not as somebody once copied it."""
    page = (DOCS / "howto" / "deploy.rst").read_text()
    included = set(re.findall(r"\.\. literalinclude:: deploy/(\S+)", page))
    assert included == {str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.*") if path.is_file()} | {
        "environment",
        "docker/Dockerfile",
    }


@pytest.mark.parametrize("unit", ["gunicorn.service", "jugpush.service"])
def test_systemd_takes_the_units(tmp_path, unit):
    """Without a word of complaint."""
    need("systemd-analyze")
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "gunicorn"):
        shutil.copy("/bin/true", programs / name)
    (tmp_path / unit).write_text(recipe(unit, {"/srv/shop": str(tmp_path)}))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)], capture_output=True, text=True, timeout=60
    )
    complaints = [line for line in result.stderr.splitlines() if unit in line or str(tmp_path) in line]
    assert (result.returncode, complaints) == (0, []), result.stderr


@pytest.mark.parametrize(
    ("file", "places"),
    [
        ("nginx.conf", {"/etc/letsencrypt/live/www.example.com": "{directory}"}),
        ("docker/nginx.conf", {"/certificates": "{directory}", "web:": "127.0.0.1:", "push:": "127.0.0.1:"}),
    ],
)
def test_nginx_takes_its_configuration(tmp_path, file, places):
    """nginx -t: with the proxy of the machine, and with that of the containers."""
    need("nginx", "openssl")
    make_certificate(tmp_path)
    (tmp_path / "conf.d").mkdir()
    places = {place: ours.format(directory=tmp_path) for place, ours in places.items()}
    (tmp_path / "conf.d" / "shop.conf").write_text(recipe(file, places))
    (tmp_path / "nginx.conf").write_text(NGINX.format(directory=tmp_path, user=""))
    result = subprocess.run([*nginx_command(tmp_path), "-t"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_the_proxies_differ_in_places_only():
    """What is said of one holds for the other."""
    places = {
        "/etc/nginx/conf.d/shop.conf": "nginx.conf",
        "127.0.0.1:8000": "web:8000",
        "127.0.0.1:8080": "push:8080",
        "/etc/letsencrypt/live/www.example.com": "/certificates",
    }
    assert recipe("nginx.conf", places) == recipe("docker/nginx.conf", {})


def test_the_dockerfile_has_no_known_fault():
    """As hadolint knows them."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint has no wheel for this system")
    command = [hadolint, "--no-color", "--failure-threshold", "warning", RECIPES / "docker" / "Dockerfile"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout


def test_the_containers_name_only_what_there_is():
    """Volumes, services and proxies of compose.yaml, and the services of its nginx.conf."""
    services = COMPOSE["services"]
    named = {service for options in services.values() for service in options.get("depends_on", [])}
    upstreams = set(re.findall(r"server (\w+):\d+;", recipe("docker/nginx.conf", {})))
    assert named | upstreams <= set(services)
    volumes = {volume.split(":")[0] for options in services.values() for volume in options.get("volumes", [])}
    assert {volume for volume in volumes if not volume.startswith(".")} == set(COMPOSE["volumes"])
    [network] = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert f"--trusted-proxies {network['subnet']}" in services["push"]["command"]


def test_the_containers_engine_takes_them():
    """docker compose config, where there is one."""
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    result = subprocess.run(
        ["docker", "compose", "-f", str(RECIPES / "docker" / "compose.yaml"), "config", "--quiet"],
        env={"SECRET_KEY": "x", "PATH": "/usr/bin:/usr/local/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture
def guarded_redis(tmp_path):
    """A Redis with the accounts of the recipe."""
    acl = tmp_path / "users.acl"
    acl.write_text(recipe("redis-acl.conf", {"user default off": "user default on nopass ~* &* +@all"}))
    with running_redis(tmp_path, "--aclfile", str(acl)) as server:
        yield server


def account(server, name: str, password: str, namespace: str = "shop") -> Config:
    """Return a configuration with an account of the recipe."""
    return Config(BROKER=f"redis://{name}:{password}@127.0.0.1:{server.port}/0", NAMESPACE=namespace)


def test_the_accounts_can_do_what_is_needed(guarded_redis):
    """Django's publishes, the push server's hears and reads."""
    broker = RedisBroker.from_config(account(guarded_redis, "shop-django", "change-me-too"))
    feed = RedisBroker.make_feed(account(guarded_redis, "shop-push", "change-me-as-well"))
    publication = Publication(id="1", channel="news", namespace="shop")

    async def hear():
        heard = asyncio.get_running_loop().create_future()
        await feed.start(lambda publications: heard.set_result(publications))
        feed.listen([publication.full_name])
        async with asyncio.timeout(10):
            await feed.ready(publication.full_name)
            before = await feed.read(publication.full_name, None)
            await asyncio.to_thread(broker.publish, [publication])
            [one] = await heard
            after = await feed.read(publication.full_name, before.position)
        await feed.stop()
        return [one, *after.publications]

    try:
        assert [one.at(None) for one in asyncio.run(hear())] == [publication] * 2
    finally:
        broker.close()


def test_the_accounts_can_do_no_more(guarded_redis):
    """Not even publish in another project's namespace."""
    broker = RedisBroker.from_config(account(guarded_redis, "shop-django", "change-me-too", namespace="other"))
    with pytest.raises(BrokerError, match="NOPERM|permission"):
        broker.publish([Publication(id="1", channel="news", namespace="other")])
    broker.close()
