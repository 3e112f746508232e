"""The tokenizer of a server's model on this machine, where the server tells no bytes of tokens."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from tokexplore.models.catalog.catalog import locate
from tokexplore.models.catalog.located import Located
from tokexplore.models.display import safe_text
from tokexplore.models.engine.loading.weights import open_tokenizer
from tokexplore.models.errors import ModelError, TokexploreError
from tokexplore.models.server.asking.chat_template import check_template
from tokexplore.models.server.asking.served import Look
from tokexplore.models.server.wire.http import Http, RefusedError
from tokexplore.models.untrusted import brief, object_of

PROBE = "The price of 3 apples is $42.\n  国王 said: «naïve» 😀"
"""A text that tokenizers cut in different ways."""


def tokenizer_here(
    looking: Look, program: str, named: str
) -> tuple[Located, PreTrainedTokenizerBase]:
    """The tokenizer, and where it is.

    Args:
        program: which does not tell the bytes of its tokens.
        named: the path or hub id that the server gives of its model.

    Raises:
        ModelError: it is not on this machine.
    """
    located = _located(looking.options.server.tokenizer, program, named)
    tokenizer = open_tokenizer(
        located.name, located.directory, trust_remote_code=looking.options.trust_remote_code
    )
    looking.tell(f"leaves tokens to {safe_text(located.source)}", "no call tells their bytes")
    return located, tokenizer


def _located(given: str, program: str, named: str) -> Located:
    named = given or named
    shown, advice = (
        safe_text(brief(named)),
        "name a directory or GGUF file that has it: --tokenizer DIR",
    )
    try:
        located = locate(named)
    except TokexploreError as error:
        if given:
            raise
        raise ModelError(
            f"{program} tells no bytes of its tokens, and {shown}, which it says it runs, is not "
            f"on this machine: for its tokenizer, {advice}."
        ) from error
    if located.path is None:
        raise ModelError(
            f"the tokenizer of {shown} is not in the hub cache: `hf download {shown} --include "
            f"'*token*' '*.json' '*.jinja'` fetches it; or {advice}."
        )
    return located


def check_reading(looking: Look, model: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Compare how texts and chats become tokens here and on a server that has `/tokenize`.

    Raises:
        ModelError: the server reads texts otherwise than the tokenizer that is here.
    """
    _check_texts(looking, model, tokenizer)
    check_template(
        looking,
        tokenizer,
        lambda turns: _rendered(looking.http, model, turns),
        lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"]),
        "POST /tokenize with messages",
    )


def _check_texts(looking: Look, model: str, tokenizer: PreTrainedTokenizerBase) -> None:
    body = {"model": model, "prompt": PROBE, "add_special_tokens": False}
    try:
        theirs = object_of(looking.http.post("/tokenize", body)).get("tokens")
    except RefusedError:
        looking.tell("does not tell how it reads texts", "POST /tokenize")
        return
    if list(tokenizer(PROBE, add_special_tokens=False)["input_ids"]) != theirs:
        raise ModelError(
            "the tokenizer that is here reads texts otherwise than the server: name the model's "
            "own with --tokenizer DIR."
        )
    looking.tell("reads texts as the tokenizer here does", "POST /tokenize")


def _rendered(http: Http, model: str, turns: Sequence[dict[str, Any]]) -> object:
    body = {"model": model, "messages": list(turns), "add_generation_prompt": True}
    return object_of(http.post("/tokenize", body)).get("tokens")
