"""Everybody has missed something: how many ask the site again in each second."""

from __future__ import annotations
