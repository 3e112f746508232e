"""What a look at a server found: the model, its tokenizer, what it can do, and what shows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerBase

from tokexplore import __version__
from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.chat import Chat, no_template
from tokexplore.models.api.engine import Progress
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.display import safe_text
from tokexplore.models.engine.text.byte_table import adds_bos
from tokexplore.models.engine.text.reasoning import reasoning_marks, template_options
from tokexplore.models.engine.text.turn_end import named_templates, turn_ids
from tokexplore.models.server.dialect import Dialect
from tokexplore.models.server.wire.http import Http
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief

UNSTATED = "unstated"
"""Of what a server does not tell."""
MOST_ROWS = 2_000_000
"""Of a vocabulary: more than any model has."""
STEPS = 2
"""Of a look, as its progress is told."""


@dataclass(frozen=True)
class Served:
    """A model behind a server; implements `TextModel`."""

    name: str
    tokenizer: PreTrainedTokenizerBase
    vocabulary: Vocabulary
    rows: int
    bos_id: int | None
    eos_ids: tuple[int, ...]
    turn_ids: tuple[int, ...]
    dialect: Dialect
    info: ModelInfo
    hear: Callable[[Chat], object]
    """Told of each conversation that is rendered."""


@dataclass(frozen=True)
class Program:
    """Which program answers, with which of its models."""

    name: str
    version: str
    model: str
    """As the server names it."""
    context: int
    """Positions; 0 where it states none."""
    dtype: str = UNSTATED
    parameters: int = 0
    weight_bytes: int = 0


@dataclass
class Look:
    """One look at one server: whom to ask, and what was found so far."""

    http: Http
    options: LoadOptions
    report: Callable[[Progress], None]
    began: float = field(default_factory=time.perf_counter)
    evidence: list[tuple[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """What the user should know at once."""

    def tell(self, what: str, how: str) -> None:
        """Keep something that the server does, and the call that showed it."""
        self.evidence.append((what, how))

    def step(self, done: int, detail: str, *, why_no_chat: str = "") -> None:
        """Say how far it is."""
        self.report(Progress("server", done, STEPS, "questions", detail, why_no_chat=why_no_chat))

    def served(
        self,
        program: Program,
        dialect: Dialect,
        tokenizer: PreTrainedTokenizerBase,
        vocabulary: Vocabulary,
        ends: tuple[int, ...],
        capabilities: Capabilities,
        hear: Callable[[Chat], object] = lambda _: None,
    ) -> Served:
        """All that was found."""
        model = program.model
        name = safe_text(brief(model.rstrip("/").rpartition("/")[2] or model))
        turn = turn_ids(tokenizer, ends, vocabulary.rows)
        has_template = bool(named_templates(tokenizer))
        self.step(STEPS, "", why_no_chat="" if has_template else no_template(name))
        bos = tokenizer.convert_tokens_to_ids(tokenizer.bos_token) if tokenizer.bos_token else None
        info = ModelInfo(
            name=name,
            source=self.http.address._replace(model=model).text,
            revision="",
            family=program.name,
            parameters=program.parameters,
            layers=0,
            heads=0,
            hidden=0,
            vocabulary=vocabulary.rows,
            context=program.context,
            dtype=program.dtype,
            device="server",
            attention=UNSTATED,
            cache="as the server does",
            feed="batched",
            bos_id=bos,
            eos_ids=ends,
            chat_template=has_template,
            suggested=None,
            weight_bytes=program.weight_bytes,
            kv_bytes_per_token=0,
            seconds=time.perf_counter() - self.began,
            capabilities=capabilities,
            turn_ids=turn,
            reasoning_marks=reasoning_marks(tokenizer),
            template_options=template_options(tokenizer),
            adds_bos=adds_bos(tokenizer),
            versions={"tokexplore": __version__, program.name: program.version},
            evidence=tuple(self.evidence),
            notices=tuple(self.notices),
        )
        return Served(
            name, tokenizer, vocabulary, vocabulary.rows, bos, ends, turn, dialect, info, hear
        )


def stated(value: Any) -> int:
    """A count that a server states; 0 where it states none."""
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62
    return value if sound else 0
