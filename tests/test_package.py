"""What is in the built distributions: all that the package needs, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.papers import ROOT

PACKAGE = ROOT / "django_jugpush"


def source_files():
    """Return the package's files as the repository has them, relative to its root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "django_jugpush"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An sdist, and the wheel that is built from it, from a copy without leftovers of earlier builds."""
    tree = tmp_path_factory.mktemp("tree")
    for name in source_files():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    for name in ("tests", "testproject", "client", "docs"):
        (tree / name).mkdir()
        (tree / name / "stray.py").touch()

    dist = tmp_path_factory.mktemp("dist")
    build = "import sys; from setuptools import build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"

    def run(kind: str, directory: Path) -> Path:
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", build, kind, str(dist)],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr
        return dist / result.stdout.splitlines()[-1]

    sdist = run("build_sdist", tree)
    with tarfile.open(sdist) as archive:
        archive.extractall(dist, filter="data")
    wheel = run("build_wheel", dist / sdist.name.removesuffix(".tar.gz"))
    return sdist, wheel


def names_in_wheel(built):
    with zipfile.ZipFile(built[1]) as archive:
        return set(archive.namelist())


def names_in_sdist(built):
    with tarfile.open(built[0]) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def test_both_hold_every_file_of_the_package(built):
    """Templates, static files and py.typed, beside the modules."""
    expected = source_files()
    assert expected - names_in_sdist(built) == set()
    assert expected - names_in_wheel(built) == set()
    assert "django_jugpush/py.typed" in expected
    assert {"juggernaut.js", "live.js"} <= {Path(name).name for name in expected}


def test_wheel_holds_the_package_only(built):
    """No tests, no site, no client sources: nothing but django_jugpush is put on the path."""
    tops = {name.split("/")[0] for name in names_in_wheel(built)}
    assert tops == {"django_jugpush", f"{built[1].name.split('-py3')[0]}.dist-info"}


def test_sdist_holds_the_papers_and_no_tests(built):
    names = names_in_sdist(built)
    assert {"README.md", "LICENSE", "CONTRIBUTING.md", "SECURITY.md", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "testproject/", "client/", "docs/"))]
