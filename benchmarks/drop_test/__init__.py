"""
The drop test: a thousand clients, each cut off for two seconds at a random moment, under a steady load of publications.

Afterwards: which share of what was published has reached them, how often twice, and how often out of order. Beside
django-jugpush stand Django Channels with its Redis pub/sub layer, and socket.io with its connection state recovery, if
``--peers`` is given: in the same run, one after the other, each with a redis-server of its own.

A cut destroys the client's socket without a close frame, and lets it open no other until the time is over. All clients
live in one process of Node, with what each system gives to browsers: the modules of ``client/src``,
``socket.io-client``, and for Channels, which comes with no client, a bare WebSocket that connects again.

Run: ``python -m benchmarks.drop_test [--peers]``; it needs redis-server, Node, and ``npm ci --prefix client``.
"""

from __future__ import annotations
