from __future__ import annotations

from django.db import models


class Order(models.Model):
    status = models.CharField(max_length=20, default="new")

    def __str__(self):
        return self.status
