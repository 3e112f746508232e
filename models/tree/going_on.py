"""Where a conversation goes on from a path that tells some of it."""

from collections.abc import Sequence
from itertools import takewhile

from tokexplore.models.api.chat import Chat, Rendered
from tokexplore.models.tree.conversation import conversation, spoken, stretches
from tokexplore.models.tree.token_path import TokenPath


def shared(path: TokenPath, chat: Chat) -> tuple[int, int]:
    """How many messages a path tells that a conversation begins with, up to an answer after which
    it goes on, and how many of the path's tokens tell them; (0, 0) where there are none."""
    found = conversation(path)
    told = spoken(path)
    if told is None or not _same_template(told, chat):
        return 0, 0
    pairs = enumerate(zip(told.messages, chat.messages, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), min(len(told.messages), len(chat.messages)))
    ends = {turn.message: turn.words[-1].stop for turn in found if turn.words}
    for known in range(same, 0, -1):
        if chat.messages[known - 1].role == "assistant" and known - 1 in ends:
            return known, ends[known - 1]
    return 0, 0


def _same_template(a: Chat, b: Chat) -> bool:
    """Whether two conversations are rendered in the same way."""
    ways = [(c.template, c.template_args, c.tools) for c in (a, b)]
    return ways[0] == ways[1]


def kept(path: TokenPath, end: int, chat: Chat, rendered: Rendered) -> int:
    """How many of the ids of a rendered conversation a path has after its first `end` tokens, up to
    the last one that was generated in one of the messages.

    Those are the messages' own tokens and stay what they are. What the assistant's next turn is
    begun with is given, whoever said the same before.
    """
    on_path = [
        (path.tree.token[n], owner) for n, owner in zip(path.nodes, _told(path), strict=False)
    ]
    owners = [part.message for part in rendered.parts for _ in range(part.tokens)]
    here = zip(on_path[end:], zip(rendered.ids[:-1], owners, strict=False), strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], here))
    count = len(chat.messages)
    own = (n for n in range(same, 0, -1) if owners[n - 1] < count and not path.given(end + n - 1))
    return next(own, 0)


def _told(path: TokenPath) -> Sequence[int]:
    """The message of each token."""
    found = stretches(path, path.pieces)
    return [one.message for one in found for _ in range(one.start, one.stop)]
