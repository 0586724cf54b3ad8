"""A shop, with each kind of model that publishing has to tell apart."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self):
        return self.name


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True)
    status = models.CharField(max_length=20, default="new")
    total = models.DecimalField(max_digits=8, decimal_places=2, default=0)

    def __str__(self):
        return f"order {self.pk}"


class UrgentOrder(Order):
    """A proxy."""

    class Meta:
        proxy = True


class Place(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self):
        return self.name


class Restaurant(Place):
    """Inherits by a table of its own."""

    stars = models.IntegerField(default=0)


class Export(models.Model):
    """Has a primary key that exists before the row does."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    finished = models.DateTimeField(null=True, blank=True)
    took = models.DurationField(null=True, blank=True)
    file = models.FileField(blank=True)
    options = models.JSONField(default=dict)

    def __str__(self):
        return str(self.id)


class Note(models.Model):
    """Is registered nowhere."""

    text = models.TextField()

    def __str__(self):
        return self.text
