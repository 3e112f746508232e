"""Look before use: which program answers, with which model, what it can do, and what shows it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from tokexplore import __version__
from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.chat import no_template
from tokexplore.models.api.engine import ModelInfo, Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.display import safe_text
from tokexplore.models.engine.loading.generation_config import eos_ids, read_generation_config
from tokexplore.models.engine.loading.weights import open_tokenizer
from tokexplore.models.engine.text.byte_table import adds_bos, vocabulary_of
from tokexplore.models.engine.text.reasoning import reasoning_marks, template_options
from tokexplore.models.engine.text.turn_end import named_templates, turn_ids
from tokexplore.models.errors import ModelError, ServerError, TokexploreError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server import llama_cpp
from tokexplore.models.server.address import Address
from tokexplore.models.server.dialect import Dialect
from tokexplore.models.server.http import Http, RefusedError
from tokexplore.models.server.llama_cpp import LlamaCpp
from tokexplore.models.server.served_tokenizer import ServedTokenizer
from tokexplore.models.server.vllm import PATH as COMPLETIONS
from tokexplore.models.server.vllm import Vllm
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief

Evidence = list[tuple[str, str]]
Report = Callable[[Progress], None]
MOST_ROWS = 2_000_000
"""Of a vocabulary: more than any model has."""
_MANY = 10**7
"""More candidates than there are: the refusal names the limit."""
_LIMIT = re.compile(r"max allowed:? (\d+)")
_PROBE = "The price of 3 apples is $42.\n  国王 said: «naïve» 😀"
"""A text that tokenizers cut in different ways."""
_RAW_ERROR = 0.05
"""Nats by which two temperatures may move a logprob that is raw."""


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


def look(options: LoadOptions, report: Report, http: Http | None = None) -> Served:
    """What answers at an address, with the model that is meant.

    Args:
        http: asks it; one of its own by default.

    Raises:
        UsageError: an address, a key or a name of a model that is not possible.
        ModelError: nothing answers there, or it cannot do the job.
    """
    address = Address.parse(options.model)
    http = http or Http(address, options.server)
    report(Progress("server", 0, 2, "questions", f"asking {safe_text(address.host)}"))
    try:
        return _Look(http, address, options, report).served()
    except UsageError:
        raise
    except ServerError as error:
        raise ModelError(str(error)) from None


def models_at(http: Http) -> list[dict[str, Any]]:
    """What a server says of the models that it serves.

    Raises:
        ServerError: it does not say.
    """
    said = http.get("/v1/models")
    listed = said.get("data") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise http.unreadable("lists no models (GET /v1/models)")
    models = [m for m in listed if isinstance(m, dict) and isinstance(m.get("id"), str)]
    if not models:
        raise ServerError(f"{safe_text(http.address.host)} serves no model.")
    return models


class _Look:
    """One look at one server, question by question."""

    def __init__(self, http: Http, address: Address, options: LoadOptions, report: Report) -> None:
        self._http, self._address, self._options, self._report = http, address, options, report
        self._began = time.perf_counter()
        self._evidence: Evidence = []

    def served(self) -> Served:
        model = self._model(models_at(self._http))
        if model.get("owned_by") == "llamacpp":
            return self._llama_cpp(model)
        version = self._version()
        if version is None:
            raise ModelError(
                f"{safe_text(self._address.host)} is neither vLLM nor llama.cpp's server, which "
                "are the two that can be opened: others give no ids of tokens."
            )
        return self._vllm(model, version)

    def _model(self, models: list[dict[str, Any]]) -> dict[str, Any]:
        names = ", ".join(safe_text(brief(m["id"])) for m in models)
        wanted = self._address.model
        found = [m for m in models if wanted in (m["id"], *_names(m.get("aliases")))]
        if not wanted and len(models) == 1:
            found = models
        if found:
            self._tell(f"serves {names}", "GET /v1/models")
            return found[0]
        host = safe_text(self._address.host)
        if wanted:
            raise UsageError(f"{host} serves no {brief(wanted)!r}: choose one of {names}.")
        raise UsageError(f"{host} serves several models: name one of {names}.")

    def _version(self) -> str | None:
        """vLLM's version; None where it is no vLLM."""
        try:
            said = self._http.get("/version")
        except ServerError:
            return None
        version = said.get("version") if isinstance(said, dict) else None
        return safe_text(brief(version)) if isinstance(version, str) else None

    # llama.cpp

    def _llama_cpp(self, model: dict[str, Any]) -> Served:
        properties = self._http.get("/props")
        if not isinstance(properties, dict):
            raise self._http.unreadable("has no properties (GET /props)")
        meta = _object(model.get("meta"))
        rows = _whole(meta.get("n_vocab"))
        if not rows:
            raise self._http.unreadable("does not say how large the vocabulary is")
        build = safe_text(brief(str(properties.get("build_info", ""))))
        program = "llama.cpp's server"
        self._tell(f"is {program}, build {build}", "GET /props")
        detail = "every token's bytes, which the server lists in one reply"
        self._report(Progress("server", 1, 2, "questions", detail))
        vocabulary, control = llama_cpp.whole_vocabulary(self._http, rows)
        self._tell(
            f"lists all {rows:,} tokens with ids and bytes ({len(control)} control tokens)",
            "POST /completion with n_probs",
        )
        self._tell("gives logprobs before its sampler", "POST /completion")
        self._tell("gives no logprobs of a prompt", "documented")
        tokenizer = ServedTokenizer(self._http, vocabulary, properties)
        self._tell("reads texts itself", "POST /tokenize")
        generation = _object(properties.get("default_generation_settings"))
        names = tokenizer.added_tokens_encoder
        ends = [names[name] for name in (str(tokenizer.eos_token or ""),) if name in names]
        return self._made(
            model=str(model["id"]),
            program=program,
            version=build,
            dialect=LlamaCpp(self._http, program, vocabulary),
            tokenizer=tokenizer,
            vocabulary=vocabulary,
            rows=rows,
            ends=tuple(ends),
            context=_whole(generation.get("n_ctx")),
            capabilities=Capabilities(
                listed=self._options.server.top, prompt_scores=False, instruments=False
            ),
            dtype=safe_text(brief(str(meta.get("ftype", "")))),
            parameters=_whole(meta.get("n_params")),
            weight_bytes=_whole(meta.get("size")),
        )

    # vLLM

    def _vllm(self, model: dict[str, Any], version: str) -> Served:
        name = str(model["id"])
        self._tell(f"is vLLM {version}", "GET /version")
        tokenizer, ends_by_file = self._tokenizer(model)
        limit = self._limit(name)
        vocabulary = vocabulary_of(tokenizer, max(limit, len(tokenizer)))
        rows = max(limit, len(vocabulary))
        vocabulary = vocabulary_of(tokenizer, rows)
        top = min(self._options.server.top, limit)
        self._tell(f"lists up to {limit:,} candidates by id", "POST /v1/completions")
        dialect = Vllm(self._http, f"vLLM {version}", name, rows)
        self._check_raw(dialect, rows)
        self._check_tokenizer(name, tokenizer)
        self._tell("gives logprobs and ranks of a prompt", "POST with prompt_logprobs")
        return self._made(
            model=name,
            program="vLLM",
            version=version,
            dialect=dialect,
            tokenizer=tokenizer,
            vocabulary=vocabulary,
            rows=rows,
            ends=eos_ids(ends_by_file, {}, tokenizer, rows),
            context=_whole(model.get("max_model_len")),
            capabilities=Capabilities(listed=top, instruments=False),
            dtype="",
            parameters=0,
            weight_bytes=0,
        )

    def _tokenizer(self, model: dict[str, Any]) -> tuple[PreTrainedTokenizerBase, dict[str, Any]]:
        given = self._options.server.tokenizer
        named = given or str(model.get("root") or model["id"])
        advice = "name a directory with its tokenizer: --tokenizer DIR"
        try:
            located = locate(named)
        except TokexploreError as error:
            if given:
                raise
            raise ModelError(
                f"vLLM tells no bytes of its tokens, and {safe_text(brief(named))}, which it says "
                f"it runs, is not on this machine: {advice}."
            ) from error
        if located.path is None:
            raise ModelError(
                f"the tokenizer of {safe_text(brief(named))} is not in the hub cache: "
                f"`hf download {safe_text(brief(named))} --include '*token*' '*.json'` fetches it; "
                f"or {advice}."
            )
        tokenizer = open_tokenizer(
            located.name, located.path, trust_remote_code=self._options.trust_remote_code
        )
        self._tell(f"tokens are read by {located.source}", "vLLM tells no bytes")
        generation, _ = read_generation_config(located.path)
        return tokenizer, generation

    def _limit(self, model: str) -> int:
        """How many candidates it lists at most."""
        body = {"model": model, "prompt": [0], "max_tokens": 1, "logprobs": _MANY}
        try:
            self._http.post(COMPLETIONS, body)
        except RefusedError as error:
            if (found := _LIMIT.search(str(error))) and 0 < int(found[1]) <= MOST_ROWS:
                return int(found[1])
            raise
        raise self._http.unreadable(f"takes {_MANY:,} candidates without a word")

    def _check_raw(self, dialect: Dialect, rows: int) -> None:
        """Raises:
        ModelError: logprobs are those after the server's sampler.
        """
        token, heat = [min(1, rows - 1)], SamplingSettings(temperature=2.0)
        plain = dialect.step(token, SamplingSettings(), 0, 1).distribution
        hot = dialect.step(token, heat, 0, 1).distribution
        if plain.ids != hot.ids or abs(plain.logprob(0) - hot.logprob(0)) > _RAW_ERROR:
            raise ModelError(
                f"{dialect.program} gives logprobs after its sampler, from which the model's own "
                "cannot be told: start it with --logprobs-mode raw_logprobs."
            )
        self._tell("gives logprobs before its sampler", "one step at temperatures 0 and 2")

    def _check_tokenizer(self, model: str, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raises:
        ModelError: the server reads texts otherwise than the tokenizer that is here.
        """
        body = {"model": model, "prompt": _PROBE, "add_special_tokens": False}
        try:
            theirs = _object(self._http.post("/tokenize", body)).get("tokens")
        except RefusedError:
            self._tell("does not tell how it reads texts", "POST /tokenize")
            return
        ours = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
        if list(ours) != theirs:
            raise ModelError(
                "the tokenizer that is here reads texts otherwise than the server: name the "
                "model's own with --tokenizer DIR."
            )
        self._tell("reads texts as the tokenizer here does", "POST /tokenize")

    # Both

    def _tell(self, what: str, how: str) -> None:
        self._evidence.append((what, how))

    def _made(
        self,
        *,
        model: str,
        program: str,
        version: str,
        dialect: Dialect,
        tokenizer: PreTrainedTokenizerBase,
        vocabulary: Vocabulary,
        rows: int,
        ends: tuple[int, ...],
        context: int,
        capabilities: Capabilities,
        dtype: str,
        parameters: int,
        weight_bytes: int,
    ) -> Served:
        name = safe_text(brief(model.rstrip("/").rpartition("/")[2] or model))
        turn = turn_ids(tokenizer, ends, rows)
        has_template = bool(named_templates(tokenizer))
        self._report(
            Progress(
                "server", 2, 2, "questions", why_no_chat="" if has_template else no_template(name)
            )
        )
        bos = tokenizer.convert_tokens_to_ids(tokenizer.bos_token) if tokenizer.bos_token else None
        info = ModelInfo(
            name=name,
            source=Address(self._address.base, model).text,
            revision="",
            family=program,
            parameters=parameters,
            layers=0,
            heads=0,
            hidden=0,
            vocabulary=rows,
            context=context,
            dtype=dtype,
            device="server",
            attention="",
            cache="as the server does",
            feed="batched",
            bos_id=bos,
            eos_ids=ends,
            chat_template=has_template,
            suggested=None,
            weight_bytes=weight_bytes,
            kv_bytes_per_token=0,
            seconds=time.perf_counter() - self._began,
            capabilities=capabilities,
            turn_ids=turn,
            reasoning_marks=reasoning_marks(tokenizer),
            template_options=template_options(tokenizer),
            adds_bos=adds_bos(tokenizer),
            versions={"tokexplore": __version__, program: version},
            evidence=tuple(self._evidence),
        )
        return Served(name, tokenizer, vocabulary, rows, bos, ends, turn, dialect, info)


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int:
    """A count that a server states; 0 where it states none."""
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62
    return value if sound else 0
