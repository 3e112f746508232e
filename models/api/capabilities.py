"""What an engine can do: where it cannot, the interface says so instead of guessing."""

import msgspec


class Capabilities(msgspec.Struct, frozen=True):
    """What can be had of an engine; the defaults are a local model that runs no batches."""

    listed: int = 0
    """Candidates of each step that it gives logprobs of, at most; 0 is the whole vocabulary."""
    prompt_scores: bool = True
    """Whether tokens that are given (a prompt, typed text) get logprobs: `Engine.score`."""
    forced_tokens: bool = True
    """Whether a path can go on with any token; else only with those that it listed."""
    batches: bool = False
    """Whether several continuations can run as one batch: `Engine.continuations`."""
    instruments: bool = True
    """Whether paths can be computed in other ways, for the lab: `Engine.bench`."""
    own_ids: bool = True
    """Whether ids are those of the model's tokenizer; else they were given out as tokens came."""

    @property
    def lists_all(self) -> bool:
        """Whether every token's logprob can be had."""
        return not self.listed
