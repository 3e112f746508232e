"""`tokexplore run --format jsonl`: one JSON object a line, numbers in nats, exact.

The lines hold no control character, whatever the tokens and names hold: what a terminal would obey
is written as a JSON escape, which every reader turns back into the same text.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

import tokexplore
from tokexplore.models.api.engine import DrawnToken, ScoredToken
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.provenance import AdapterInfo
from tokexplore.models.display import safe_character
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.settings import BY_FIELD, OFF, SamplingSettings
from tokexplore.models.tokens import Vocabulary

_encode = msgspec.json.Encoder().encode
_BEYOND_ASCII = re.compile(r"[^ -~]")


def line(value: dict[str, object]) -> bytes:
    """An object as one line; a number that is not finite is null."""
    data = _encode(value)
    if data.isascii() and b"\x7f" not in data:  # below a space msgspec leaves nothing as it is
        return data + b"\n"
    text = data.decode("utf-8")
    return (_BEYOND_ASCII.sub(lambda found: _escaped(found[0]), text) + "\n").encode("utf-8")


def text_line(value: dict[str, object]) -> str:
    """The same as text, without its end."""
    return line(value).decode().rstrip("\n")


@lru_cache(4096)
def _escaped(character: str) -> str:
    """A character that a terminal would obey as a JSON escape, any other as it is."""
    if safe_character(character) == character:
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


class TokenFields:
    """What lines tell of a token; made once for each, for most of a line's work is in it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._fields: dict[int, dict[str, object]] = {}
        self._begun: dict[int, str] = {}

    def of(self, token: int) -> dict[str, object]:
        """Its id, display form and bytes."""
        fields = self._fields.get(token)
        if fields is None:
            fields = self._fields[token] = {
                "id": token,
                "text": self._vocabulary.show(token),
                "bytes": self._vocabulary.bytes_of(token).hex(),
            }
        return fields

    def text(self, tokens: Sequence[int]) -> str:
        """The running text of some tokens."""
        return self._vocabulary.text(tokens)

    def candidates(self, distribution: Distribution, count: int) -> bytes:
        """The first candidates with their logprobs, as a JSON array."""
        ids = distribution.id_view[:count].tolist()
        logits = distribution.logit_view[:count].tolist()
        begun, lse = self._begun, distribution.lse
        for token in ids:
            if token not in begun:
                begun[token] = line(self.of(token))[:-2].decode() + ',"logprob":'
        if not ids:
            return b"[]"
        # One array for all of them: most of a line's time is in its numbers.
        numbers = _encode([x - lse for x in logits])[1:-1].decode().split(",")
        parts = [f"{begun[t]}{x}}}" for t, x in zip(ids, numbers, strict=True)]
        return f"[{','.join(parts)}]".encode()


def sampling_fields(settings: SamplingSettings) -> dict[str, object]:
    """Sampling settings by name; those that few people use only where they are on."""
    given = msgspec.structs.asdict(settings)
    return {n: value for n, value in given.items() if BY_FIELD[n].common or value != OFF[n]}


def model_fields(info: ModelInfo) -> dict[str, object]:
    """Which model, and how it runs."""
    return {
        "model": info.source,
        "revision": info.revision,
        "dtype": info.dtype,
        "device": info.device,
        "threads": info.threads,
        **adapter_fields(info.adapters),
        **({"weights": info.weights} if info.weights else {}),
    }


def adapter_fields(adapters: Sequence[AdapterInfo]) -> dict[str, object]:
    """The adapters on a model; no field where there are none."""
    return {"adapters": msgspec.to_builtins(adapters)} if adapters else {}


def run_line(info: ModelInfo, settings: SamplingSettings, prompt_ids: Sequence[int]) -> bytes:
    """The first line: what runs, on what."""
    return line(
        {
            "type": "run",
            **model_fields(info),
            "seed": settings.seed,
            "sampling": {k: v for k, v in sampling_fields(settings).items() if k != "seed"},
            "prompt_ids": list(prompt_ids),
            "version": tokexplore.__version__,
            "vocabulary": info.vocabulary,
        }
    )


def step_line(event: ScoredToken | DrawnToken, tokens: TokenFields, count: int) -> bytes:
    """The line of one position; `count` candidates are listed.

    A token of the prompt was not chosen: its `chosen_by` and `sampler_logprob` are null.
    """
    drawn = event if isinstance(event, DrawnToken) else None
    standing, distribution = event.standing, event.distribution
    step = {
        "type": "step",
        "position": event.position,
        "origin": "generated" if drawn else "prompt",
        **tokens.of(standing.token),
        "logprob": standing.logprob,
        "sampler_logprob": drawn.sampler_logprob if drawn else None,
        "chosen_by": drawn.chosen_by if drawn else None,
        "rank": standing.rank or None,
    }
    if event.watched:
        step["watched"] = [
            {**tokens.of(w.token), "logprob": w.logprob, "rank": w.rank} for w in event.watched
        ]
    return line_with(step, distribution, tokens, count)


def given_line(position: int, token: int, tokens: TokenFields) -> bytes:
    """The line of a token of the prompt of which the engine tells nothing."""
    unknown = dict.fromkeys(("logprob", "sampler_logprob", "chosen_by", "rank"))
    start = {"type": "step", "position": position, "origin": "prompt"}
    return line_with({**start, **tokens.of(token), **unknown}, None, tokens, 0)


def line_with(
    fields: dict[str, object], distribution: Distribution | None, tokens: TokenFields, count: int
) -> bytes:
    """A line of some fields and what the model said there; `count` candidates are listed."""
    if distribution is None:
        unknown = dict.fromkeys(("entropy", "margin", "lse", "tail_mass"))
        return line({**fields, **unknown, "candidates": []})
    all_fields = {
        **fields,
        "entropy": distribution.entropy,
        "margin": distribution.margin,
        "lse": distribution.lse,
        "tail_mass": distribution.tail_mass(count),
    }
    if not distribution.complete:
        all_fields["complete"] = False
    listed = tokens.candidates(distribution, count)
    return b'%b,"candidates":%b}\n' % (line(all_fields)[:-2], listed)


def end_line(reason: str | None, text: str) -> bytes:
    """The last line: why it ended, None where no stream did, and the generated text."""
    return line({"type": "end", "reason": reason, "text": text})
