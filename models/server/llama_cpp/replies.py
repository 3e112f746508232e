"""What `/completion` answers: a reply, or an event of a stream."""

import msgspec

PATH = "/completion"
EOS = "eos"
"""Why a stream stopped: at any of the tokens that end a text."""


class Ranked(msgspec.Struct, gc=False):
    """One listed token, without its bytes: where many are listed, reading those takes longest."""

    id: int
    logprob: float


class RankedRow(msgspec.Struct):
    """The tokens that were listed at a step."""

    top_logprobs: list[Ranked] = []


class RankedReply(msgspec.Struct):
    """A reply of which the listed tokens alone are read."""

    completion_probabilities: list[RankedRow] = []


class Candidate(Ranked):
    """One listed token."""

    bytes: list[int] = []


class Row(Candidate):
    """A token that was taken, and those that were listed."""

    top_logprobs: list[Candidate] = []


class Reply(msgspec.Struct):
    """A reply, or an event of a stream."""

    tokens: list[int] = []
    tokens_predicted: int = 0
    completion_probabilities: list[Row] = []
    stop_type: str = ""
