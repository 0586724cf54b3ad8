"""The server's application: one consumer, whose clients are all in one group."""

from __future__ import annotations

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter

django.setup()


class NewsConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add("news", self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard("news", self.channel_name)

    async def news(self, event):
        await self.send(event["text"])


application = ProtocolTypeRouter({"websocket": NewsConsumer.as_asgi()})
