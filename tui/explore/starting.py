"""What a model that was just loaded makes of an exploration: vocabulary, settings, named tokens."""

import contextlib

from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.questions import Encode, Render
from tokexplore.models.errors import ModelError, UsageError
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.options import (
    MOST_WATCHED,
    AppOptions,
    check_token_ids,
    watched_tokens,
    with_texts,
)
from tokexplore.tui.explore.streams import Notify
from tokexplore.tui.explore.watchlist import Watchlist


def adopt_vocabulary(explorer: Explorer, vocabulary: Vocabulary, model: str) -> None:
    """Take an engine's vocabulary, which has to be the one that the tree was made with.

    Raises:
        ModelError: it is another.
    """
    if explorer.nodes and not explorer.vocabulary.agrees_with(vocabulary):
        raise ModelError(
            f"{model} has another vocabulary than this session was recorded "
            "with: M opens it in a session of its own."
        )
    explorer.vocabulary = vocabulary


def introduce(
    options: AppOptions, explorer: Explorer, info: ModelInfo, notify: Notify
) -> list[str]:
    """Begin with the settings that were asked for, and say what the user should know; how the
    model computes otherwise than the recorded one.

    Raises:
        UsageError: a token that was asked for is none of the model's.
    """
    check_token_ids(options, info)
    recorded, others = explorer.tree.provenance, list[str]()
    if not explorer.nodes:
        explorer.settings = options.starting_settings(info)
    elif recorded:
        others = recorded[-1].differences(info.provenance)
    if others:
        notify(
            f"Not as recorded: {'; '.join(others)}. What was recorded stays; a step that is "
            "looked at is computed again and both are shown.",
            severity="warning",
        )
    for notice in info.notices:
        notify(notice)
    return others


async def tell_chats(client: AsyncEngine, tree: TokenTree) -> None:
    """Tell a server that takes chats only which ones the paths of a tree begin with: of a path it
    is told ids. One that it cannot render is refused where it is asked for."""
    if client.info.capabilities.plain_prompts:
        return
    for prompt in list(tree.prompts.values()):
        if prompt.chat is not None:
            with contextlib.suppress(UsageError):
                await client.ask(Render(prompt.chat))


async def name_tokens(
    options: AppOptions, client: AsyncEngine, explorer: Explorer, watchlist: Watchlist
) -> None:
    """Find the tokens of the texts that are biased, banned or watched.

    Raises:
        UsageError: a text is not one token, or more are to be watched than the screen can follow.
    """
    ids = {t: await client.ask(Encode(t, continuation=True)) for t in options.token_texts}
    explorer.settings = with_texts(explorer.settings, options, ids)
    watchlist.tokens = watchlist.tokens or watched_tokens(options, ids, client.vocabulary)
    if len(watchlist.tokens) > MOST_WATCHED:
        raise UsageError(
            f"{len(watchlist.tokens)} tokens are to be watched, and the screen can follow "
            f"{MOST_WATCHED}: name fewer (run --watch takes any number)."
        )
