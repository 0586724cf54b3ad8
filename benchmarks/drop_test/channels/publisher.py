"""Publishes as an async view does."""

from __future__ import annotations

import asyncio
import json

import django
from channels.layers import get_channel_layer

from benchmarks.drop_test.pace import publications


async def main() -> None:
    django.setup()
    layer = get_channel_layer()
    await layer.group_send("nobody", {"type": "news"})  # the first connects
    for data in publications():
        await layer.group_send("news", {"type": "news", "text": json.dumps(data)})


if __name__ == "__main__":
    asyncio.run(main())
