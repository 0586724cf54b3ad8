"""The pastebin as the deployment recipes put it together, all of it on this machine and for this user."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.site import MANAGE, ROOT, Site, wait_until
from tests.papers import DOCS
from tests.ports import free_port
from tests.redis_server import RedisServer

RECIPES = DOCS / "howto" / "deploy"

# What a distribution's own /etc/nginx/nginx.conf has, as far as it is needed.
NGINX = """
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 2048; }}
http {{
    include /etc/nginx/mime.types;
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/conf.d/*.conf;
}}
"""


def need(*programs: str) -> None:
    """Skip the test, or fail in CI, if a program is missing."""
    if missing := [
        program for program in programs if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    ]:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {', '.join(missing)}")


def recipe(name: str, places: dict[str, str]) -> str:
    """Return one of the recipes' files with each place that it names replaced by ours, and nothing else."""
    text = (RECIPES / name).read_text(encoding="utf-8")
    for place, ours in places.items():
        assert place in text, f"{name} no longer has {place!r}"
        text = text.replace(place, ours)
    return text


class ProductionSite(Site):
    """nginx with TLS, gunicorn, ``manage.py juggernaut`` and redis-server; they keep their ports."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.directory = directory
        self.url = f"https://127.0.0.1:{self.port}"
        self.http_port, self.gunicorn_port, self.push_port, self.ops_port = (free_port() for _ in range(4))
        self.redis = RedisServer(directory)
        self.processes: dict[str, subprocess.Popen] = {}
        self.environ |= self.read_environment()
        self.environ |= {
            "STATIC_ROOT": str(directory / "static"),
            "SERVER_URL": f"http://127.0.0.1:{self.push_port}/juggernaut/",
        }
        self.environ |= {"DJANGO_SETTINGS_MODULE": "tests.deploy.settings", "HOME": str(directory)}
        self.certificate = directory / "fullchain.pem"

    # The recipes' files, with the places of this machine

    def read_environment(self) -> dict[str, str]:
        text = recipe("environment", {"redis://127.0.0.1:6379/0": self.redis.url})
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))

    def command(self, unit: str) -> list[str]:
        """Return what a unit file starts."""
        python = Path(sys.executable)
        places = {
            "gunicorn.service": {
                "/srv/shop/venv/bin/gunicorn": str(python.with_name("gunicorn")),
                "127.0.0.1:8000": f"127.0.0.1:{self.gunicorn_port}",
                "shop.wsgi": "testproject.wsgi",
            },
            "jugpush.service": {
                "/srv/shop/venv/bin/python": str(python),
                "manage.py": MANAGE,
                "--port 8080": f"--port {self.push_port}",
                "127.0.0.1:8081": f"127.0.0.1:{self.ops_port}",
            },
        }
        [line] = re.findall(r"^ExecStart=(.*)$", recipe(unit, places[unit]), re.M)
        return shlex.split(line)

    def nginx_conf(self) -> str:
        return recipe(
            "nginx.conf",
            {
                "127.0.0.1:8000": f"127.0.0.1:{self.gunicorn_port}",
                "127.0.0.1:8080": f"127.0.0.1:{self.push_port}",
                "listen 80;": f"listen 127.0.0.1:{self.http_port};",
                "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
                "/etc/letsencrypt/live/www.example.com": str(self.directory),
                "/srv/shop/static/": f"{self.directory}/static/",
            },
        )

    # Life

    def prepare(self, users: list[str]) -> None:
        need("nginx", "redis-server", "openssl")
        make_certificate(self.directory)
        self.write_nginx_conf(self.nginx_conf())
        self.redis.start()
        super().prepare(users)
        self.manage("collectstatic", "--noinput", "--verbosity=0")

    def write_nginx_conf(self, text: str) -> None:
        (self.directory / "conf.d").mkdir(exist_ok=True)
        (self.directory / "conf.d" / "shop.conf").write_text(text)
        user = "user root;" if os.getuid() == 0 else ""
        (self.directory / "nginx.conf").write_text(NGINX.format(directory=self.directory, user=user))

    def manage(self, *arguments: str) -> None:
        subprocess.run([sys.executable, MANAGE, *arguments], env=self.environ, check=True)

    def restart_nginx(self, conf: str) -> None:
        """Have the proxy do as another configuration says."""
        self.stop_one("nginx")
        self.write_nginx_conf(conf)
        self.start_nginx()
        wait_until(self.answers, what=self.logs)

    def start(self) -> None:
        self.start_gunicorn()
        self.start_push()
        # The proxy last: visitors who try again meanwhile see a machine that is away, not one that is half there.
        wait_until(self.has_upstreams, what=lambda: f"gunicorn and the push server:\n{self.logs()}")
        self.start_nginx()
        wait_until(self.answers, what=lambda: f"the site to answer:\n{self.logs()}")

    def stop(self) -> None:
        """Stop all that was started, the last first; Redis goes on."""
        for name in list(self.processes):
            self.stop_one(name)

    def close(self) -> None:
        self.stop()
        self.redis.kill()

    def start_gunicorn(self) -> None:
        self.run_one("gunicorn", self.command("gunicorn.service"))

    def start_push(self) -> None:
        self.run_one("push", self.command("jugpush.service"))

    def start_nginx(self) -> None:
        self.run_one("nginx", nginx_command(self.directory))

    def run_one(self, name: str, command: list[str]) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.environ, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        self.processes = {name: process} | self.processes

    def stop_one(self, name: str) -> None:
        """Stop a process as systemd does."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        finally:
            process.kill()
            process.wait()

    def answers(self) -> bool:
        self.check_alive()
        return self.status(f"{self.url}/") == 200

    def has_upstreams(self) -> bool:
        self.check_alive()
        return self.is_ready() and self.status(f"http://127.0.0.1:{self.gunicorn_port}/") is not None

    def is_ready(self) -> bool:
        """Tell whether the push server is."""
        return self.status(f"http://127.0.0.1:{self.push_port}/readyz") == 200

    def check_alive(self) -> None:
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended:\n{self.logs()}"

    def status(self, url: str) -> int | None:
        context = ssl.create_default_context(cafile=str(self.certificate)) if url.startswith("https") else None
        try:
            return urllib.request.urlopen(url, timeout=5, context=context).status
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, http.client.HTTPException):
            return None

    def metrics(self) -> str:
        """Return what the push server tells Prometheus."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}/metrics", timeout=5) as response:
            return response.read().decode()

    def logs(self) -> str:
        parts = []
        for path in sorted(self.directory.glob("*.log")):
            with contextlib.suppress(OSError):
                parts.append(f"--- {path.name}\n{path.read_text()[-3000:]}")
        return "\n".join(parts)


def nginx_command(directory: Path) -> list[str]:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    return [nginx, "-p", str(directory), "-c", str(directory / "nginx.conf")]


def make_certificate(directory: Path) -> None:
    """Make what Let's Encrypt would give, signed by itself."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-keyout", str(directory / "privkey.pem"), "-out", str(directory / "fullchain.pem")),
        ],
        check=True,
        capture_output=True,
    )
