"""Makes broken inputs of valid ones: fast, and the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

__all__ = ["Mutator"]

DICTIONARY = [
    b"",
    b"\0",
    b"\r\n",
    b"\xff\xfe",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"9007199254740993",
    b"0" * 400,
    b"NaN",
    b'"',
    b"\\",
    b"\\ud800",
    b"\\u202e",
    b"[" * 50,
    b'{"a":' * 50,
    b"[" * 3000,
    b"__proto__",
    b"user:1",
    b"x" * 300,
    b"x" * 3000,
    "e\u0301".encode(),
    b":",
    b"%",
    b"%00",
    b";",
    b",",
    b"{}",
    b"chunked",
]


class Mutator:
    """Takes valid inputs, and whatever words they are made of."""

    def __init__(self, random: Random, corpus: Sequence[bytes]) -> None:
        self._random = random
        self._corpus = corpus
        self._ways: list[Callable[[bytes], bytes]] = [
            self._flip,
            self._delete,
            self._insert,
            self._insert,
            self._repeat,
            self._cut,
            self._splice,
            self._overwrite,
        ]

    def __call__(self) -> bytes:
        """Return the next input. One in ten is valid as it is, so that states are reached in which others matter."""
        data = self._random.choice(self._corpus)
        if self._random.random() < 0.1:
            return data
        for _ in range(self._random.choice((1, 1, 1, 2, 4))):
            data = self._random.choice(self._ways)(data)
        return data[:200_000]

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._random.randrange(len(data) + 1)
        return start, min(len(data), start + self._random.choice((1, 1, 2, 4, 16, 200)))

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << self._random.randrange(8))]) + data[at + 1 :]

    def _delete(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _insert(self, data: bytes) -> bytes:
        start, _ = self._span(data)
        return data[:start] + self._random.choice(DICTIONARY) + data[start:]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[start:end] * self._random.choice((2, 3, 50)) + data[end:]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._random.randrange(len(data) + 1)]

    def _splice(self, data: bytes) -> bytes:
        other = self._random.choice(self._corpus)
        return data[: self._span(data)[0]] + other[self._span(other)[0] :]

    def _overwrite(self, data: bytes) -> bytes:
        start, _ = self._span(data)
        word = self._random.choice(DICTIONARY)
        return data[:start] + word + data[start + len(word) :]
