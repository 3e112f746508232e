"""Look before use: which program answers at an address, and with which model."""

from collections.abc import Callable
from typing import Any

from tokexplore.models.api.engine import Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.display import safe_text
from tokexplore.models.errors import ModelError, ServerError, UsageError
from tokexplore.models.server.asking.served import Look, Served
from tokexplore.models.server.llama_cpp import dialect as llama_cpp
from tokexplore.models.server.llama_cpp import look as look_llama_cpp
from tokexplore.models.server.openai import look as look_openai
from tokexplore.models.server.openai_chat import look as look_chat
from tokexplore.models.server.openai_chat.look import Kind
from tokexplore.models.server.sglang import look as look_sglang
from tokexplore.models.server.vllm import dialect as vllm
from tokexplore.models.server.vllm import look as look_vllm
from tokexplore.models.server.wire.address import Address
from tokexplore.models.server.wire.http import Http, models_at
from tokexplore.models.untrusted import brief

OTHER = Kind(look_openai.NAME)
"""What is of no kind that we know."""


def look(options: LoadOptions, report: Callable[[Progress], None]) -> Served:
    """What answers at an address, with the model that is meant.

    Raises:
        UsageError: an address, a key or a name of a model that is not possible.
        ModelError: nothing answers there, or it cannot do the job.
    """
    address = Address.parse(options.model)
    looking = Look(Http(address, options.server), options, report)
    host = safe_text(address.host)
    looking.step(0, f"asking {host}")
    try:
        model = _model(looking, address.model)
        return (_chats if address.chats else _completions)(looking, model)
    except ServerError as error:
        raise ModelError(str(error)) from None


def _completions(looking: Look, model: dict[str, Any]) -> Served:
    if model.get("owned_by") == look_llama_cpp.OWNER:
        return look_llama_cpp.look(looking, model)
    if model.get("owned_by") == look_sglang.OWNER:
        return look_sglang.look(looking, model)
    if version := _version(looking.http):
        return look_vllm.look(looking, model, version)
    try:
        return look_openai.look(looking, model)
    except look_openai.NoCompletionsError as error:
        return look_chat.look(looking, model, OTHER, str(error))


def _chats(looking: Look, model: dict[str, Any]) -> Served:
    kind = OTHER
    if model.get("owned_by") == look_llama_cpp.OWNER:
        kind = Kind(look_llama_cpp.NAME, llama_cpp.LlamaCpp.samples, llama_cpp.sampling)
    elif model.get("owned_by") == look_sglang.OWNER:
        kind = Kind(look_sglang.NAME, None, vllm.sampling)
    elif version := _version(looking.http):
        kind = Kind(f"vLLM {version}", vllm.Vllm.samples, vllm.sampling)
    return look_chat.look(looking, model, kind)


def _model(looking: Look, wanted: str) -> dict[str, Any]:
    """What the server says of the model that is meant."""
    models = models_at(looking.http)
    names = ", ".join(safe_text(brief(model["id"])) for model in models)
    host = safe_text(looking.http.address.host)
    found = [model for model in models if wanted in (model["id"], *_names(model.get("aliases")))]
    if not wanted and len(models) > 1:
        raise UsageError(f"{host} serves several models: name one of {names}.")
    if wanted and not found:
        raise UsageError(f"{host} serves no {brief(wanted)!r}: choose one of {names}.")
    looking.tell(f"serves {names}", "GET /v1/models")
    return found[0] if wanted else models[0]


def _version(http: Http) -> str:
    """vLLM's version; empty where it is no vLLM."""
    try:
        said = http.get("/version")
    except ServerError:
        return ""
    version = said.get("version") if isinstance(said, dict) else None
    return safe_text(brief(version)) if isinstance(version, str) else ""


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
