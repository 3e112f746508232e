"""Whether a server makes the same of a conversation as its template does here."""

from collections.abc import Callable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from tokexplore.models.engine.text.turn_end import named_templates, rendered
from tokexplore.models.errors import ServerError, TokexploreError
from tokexplore.models.server.asking.served import Look

TURNS = (
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4, or four."},
    {"role": "user", "content": "  And «国王»?\n"},
)
"""A conversation that templates render in different ways."""

Rendering = Callable[[Sequence[dict[str, Any]]], object]
"""What the server makes of messages, ready for the assistant: ids or text."""


def check_template(
    looking: Look,
    tokenizer: PreTrainedTokenizerBase,
    theirs: Rendering,
    ours: Callable[[str], object],
    call: str,
) -> None:
    """Ask a server to render a conversation, and keep how it compares.

    Args:
        ours: of a rendered text, what `theirs` gives of the same one.
        call: the server's, for the evidence.
    """
    template = named_templates(tokenizer).get("default")
    if template is None:
        return
    try:
        said = theirs(TURNS)
    except ServerError:
        looking.tell("does not tell how it renders a chat", call)
        return
    try:
        here = ours(rendered(tokenizer, template, TURNS, add_generation_prompt=True))
    except TokexploreError:
        return  # whoever begins a chat is told why there is none
    if said == here:
        looking.tell("renders a chat as its template does here", call)
        return
    looking.tell("renders a chat otherwise than the template here, by which chats are sent", call)
    looking.notices.append(
        "The server renders a chat by another template than the one here, by which chats are sent: "
        "its own chat calls would get other tokens."
    )
