"""What the lab asks of a server: the same requests, beside others and on another cache."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from tokexplore.models.api.engine import Control, DrawnToken, StreamEnded, StreamRequest
from tokexplore.models.sampling.settings import SamplingSettings


class Traffic(msgspec.Struct, frozen=True):
    """What a server has to do while it answers a request. How it computes is its own."""

    copies: int = 1
    """Requests that ask the same and begin together, this one included."""
    beside: tuple[tuple[int, ...], ...] = ()
    """Prompts of other requests that run beside it, greedily."""
    cold: bool = False
    """Whether its prefix cache has nothing of the prompt, which is else left to it."""

    def words(self) -> str:
        """What is not plain about it, for people."""
        parts = []
        if self.copies > 1:
            parts.append(f"{self.copies} at once, the same")
        elif self.beside:
            parts.append(f"{len(self.beside) + 1} at once, others beside")
        else:
            parts.append("alone")
        return " · ".join([*parts, *["cold"] * self.cold])


class Load(msgspec.Struct, frozen=True):
    """What a server says of itself in the middle of a run; None is what it does not tell."""

    running: int | None = None
    """Requests that it computes."""
    waiting: int | None = None
    """Requests in its queue."""
    cache: float | None = None
    """Share of its KV cache that is used."""

    def words(self) -> str:
        """In a few words; empty where it tells nothing."""
        told = [
            (self.running, f"{self.running} running"),
            (self.waiting, f"{self.waiting} waiting"),
            (self.cache, f"KV cache {self.cache or 0:.1%}"),
        ]
        return ", ".join(words for value, words in told if value is not None)


class Requests(Protocol):
    """Several requests at once, by the server's sampler and its seeds."""

    @property
    def seeded(self) -> bool:
        """Whether its sampler draws alike under the same seed; else anew for each request."""

    def at_once(self, settings: SamplingSettings) -> bool:
        """Whether several requests under these settings run at once: a server that has to be asked
        for each token by itself answers them in turn."""

    def run(
        self, requests: Sequence[StreamRequest], traffic: Traffic, control: Control
    ) -> Iterator[tuple[int, DrawnToken | StreamEnded] | Load]:
        """Run requests that begin together, as many as `traffic.copies` says.

        Yields:
            The events of each with its place among `requests`, its `StreamEnded` last; and once,
            while they run, what the server says of itself, where it does.

        Raises:
            ServerError: one of them was refused or broke off.
        """
