"""What an engine can do: where it cannot, the interface says so instead of guessing."""

from typing import Literal

import msgspec

Need = Literal[
    "lists_all", "whole_rows", "prompt_scores", "plain_prompts", "prefill", "forced_tokens",
    "instruments", "inside", "repeats", "own_ids",
]  # fmt: skip
"""What something can need of an engine."""

_FIRST = "lists the first {listed} candidates of a step"
_LIMITS: dict[Need, tuple[str, str]] = {
    "lists_all": (_FIRST, "the whole vocabulary"),
    "whole_rows": (_FIRST, "the whole vocabulary"),
    "prompt_scores": ("gives no logprobs of tokens that it is given", "them"),
    "plain_prompts": ("takes chats only", "any text"),
    "prefill": ("begins every answer anew", "one that goes on"),
    "forced_tokens": ("goes on only with tokens that it listed", "others"),
    "instruments": ("computes a path in one way only", "others"),
    "inside": ("shows nothing of the model's inside", "its layers: a model loaded here"),
    "repeats": ("computes a path in one way only", "others"),
    "own_ids": ("numbers tokens as they come", "the ids of the model's tokenizer"),
}
"""What an engine does instead, and what it then does not have."""


class Capabilities(msgspec.Struct, frozen=True):
    """What can be had of an engine; the defaults are a local model that runs no batches."""

    listed: int = 0
    """Candidates of each step that it gives logprobs of, at most; 0 is the whole vocabulary."""
    on_demand: bool = False
    """Of one that lists the first candidates: whether it gives the others of a step when they are
    asked for."""
    prompt_scores: bool = True
    """Whether tokens that are given (a prompt, typed text) get logprobs: `Engine.score`."""
    plain_prompts: bool = True
    """Whether a path can be any text; else only a chat and its answer."""
    prefill: bool = True
    """Whether an answer can go on from any of its tokens; else only from where it begins."""
    forced_tokens: bool = True
    """Whether a path can go on with any token; else only with those that it listed."""
    batches: bool = False
    """Whether several continuations can run as one batch: `Engine.continuations`."""
    shares: bool = False
    """Whether streams of one path go on together, on a prefix that is held once."""
    instruments: bool = True
    """Whether paths can be computed in other ways, for the lab: `Engine.bench`."""
    serves: bool = False
    """Whether it is a server, which takes several requests at once: `Engine.requests`."""
    cold: bool = True
    """Of a server: whether a request can be kept from its prefix cache (`Traffic.cold`)."""
    own_ids: bool = True
    """Whether ids are those of the model's tokenizer; else they were given out as tokens came."""

    @property
    def lists_all(self) -> bool:
        """Whether every step comes with every token's logprob."""
        return not self.listed

    @property
    def whole_rows(self) -> bool:
        """Whether every token's logprob can be had, at a step that is asked for."""
        return not self.listed or self.on_demand

    @property
    def inside(self) -> bool:
        """Whether the model's layers can be looked into: `Engine.interpreter`."""
        return self.instruments

    @property
    def repeats(self) -> bool:
        """Whether the same request can be run again under other conditions."""
        return self.instruments or self.serves

    def limit(self, need: Need) -> str:
        """What the engine does instead: `This engine lists the first 20 candidates of a step`.

        Empty where it has what is needed.
        """
        if getattr(self, need):
            return ""
        words = f"This engine {_LIMITS[need][0].format(listed=self.listed)}"
        return words + ", the others when asked" * (need == "lists_all" and self.on_demand)

    @property
    def limits(self) -> tuple[str, ...]:
        """Whatever it does instead, a sentence each."""
        limits = [f"{limit}." for need in _LIMITS if (limit := self.limit(need))]
        return tuple(dict.fromkeys(limits))

    def why_not(self, what: str, *needs: Need) -> str:
        """The sentence that refuses what the engine cannot do; empty where it can.

        Args:
            what: the subject of the sentence's second half: `the lab`.
        """
        lacks = (need for need in needs if not getattr(self, need))
        return next((f"{self.limit(need)}: {what} needs {_LIMITS[need][1]}." for need in lacks), "")
