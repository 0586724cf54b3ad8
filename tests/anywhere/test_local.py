"""Publishing from other processes to ``runserver``, which nothing has to be set for."""

from __future__ import annotations

import pytest

from .conftest import event

pytestmark = pytest.mark.processes


@pytest.fixture
def site(make_site):
    """The site in development: no broker, no environment."""
    return make_site()


@pytest.fixture
def page(site):
    """A page of the site that shows orders and banner."""
    return site.runserver("--noreload").client("orders", "banner")


def said(page):
    """Return channel and data of the next publication."""
    message = page.next()
    return message["channel"], message["data"]


def test_command_from_cron(site, page):
    site.manage("close_day")
    assert [said(page), said(page)] == [event("updated", 1, "closed"), ("banner", {"text": "Closed until tomorrow"})]


def test_threads(site, page):
    site.shell("from shop.reports import render_all; render_all(range(100))")
    assert sorted(said(page)[1]["report"] for _ in range(100)) == list(range(100))


def test_forked_children(site, page):
    site.shell("from shop.thumbnails import shrink_all; shrink_all(range(20))")
    assert sorted(said(page)[1]["picture"] for _ in range(20)) == list(range(20))


def test_coroutine(site, page):
    site.shell(
        "import asyncio, django_jugpush as push\n"
        "async def main():\n"
        "    push.publish('banner', 1)\n"
        "    await push.apublish('banner', 2)\n"
        "asyncio.run(main())\n"
    )
    assert [said(page), said(page)] == [("banner", 1), ("banner", 2)]


def test_eager_task(site, page):
    site.shell("from shop.tasks import pack; pack.delay(1)")
    assert [said(page), said(page)] == [("banner", {"text": "Packing order 1"}), event("updated", 1, "packed")]


def test_worker(site, page, tmp_path):
    """Celery's pool finds ``runserver`` as well, with a broker of Celery's that needs no service either."""
    queue = {"SITE_CELERY": "filesystem://", "SITE_QUEUE": str(tmp_path)}
    worker = site.start(
        ["-m", "celery", "--app=mysite", "worker", "--pool=prefork", "--concurrency=2", "--loglevel=info"],
        url="",
        **queue,
    )
    worker.wait_for(r"celery@\S+ ready")
    site.shell("from shop.checkout import check_out; check_out()", **queue)
    heard = [said(page) for _ in range(3)]
    assert heard[-2:] == [("banner", {"text": "Packing order 2"}), event("updated", 2, "packed")] or (
        heard[0][0] == "banner" and event("created", 2, "paid") in heard
    )


def test_without_a_server_the_log_says_what_to_do(site):
    """Publishing that reaches nobody is not silent, and fails nothing."""
    output = site.manage("close_day")
    assert output.count("Publishing fails from here on") == 1
    assert "manage.py runserver" in output and "SERVER_URL" in output
