"""Settings of the server and of the process that publishes."""

from __future__ import annotations

import os

SECRET_KEY = "the key of the benchmarks, which guards nothing"
INSTALLED_APPS = ["channels"]
USE_TZ = True

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [os.environ["DROP_TEST_REDIS"]]},
    },
}
