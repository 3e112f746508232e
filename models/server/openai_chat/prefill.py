"""How a server goes on from an answer that is begun, where it does: found out by its own answer."""

from collections.abc import Sequence

from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.server.asking.served import Look
from tokexplore.models.server.dialect import Step
from tokexplore.models.server.openai.checks import ERROR
from tokexplore.models.server.openai_chat.dialect import PATH, OpenAIChat, Prefill

WAYS = (
    Prefill("a last message of the assistant's"),
    Prefill(
        "continue_final_message",
        request={"continue_final_message": True, "add_generation_prompt": False},
    ),
    Prefill("prefix", message={"prefix": True}),
)
"""llama.cpp's, and of some that answer as Anthropic's API does; vLLM's and SGLang's; DeepSeek's and
Mistral's. Who does not know a field may ignore it, and begin a new turn."""
_CUTS = 3
"""Places at which an answer is begun."""


def find_prefill(
    looking: Look, dialect: OpenAIChat, ids: Sequence[int], answer: Sequence[Step], top: int
) -> None:
    """Let the dialect go on from the beginnings of an answer in the way in which the server does.

    Where it does, what comes after the first words of its answer is what came after them when it
    wrote them. Where an answer is begun anew those candidates are others.

    Args:
        ids: of a conversation.
        answer: the server's own steps after it.
    """
    cuts = _cuts(dialect, ids, answer)
    for counts in (True, False) if dialect.counts else (False,):
        for way in WAYS if cuts else ():
            dialect.prefill, dialect.counts = way, counts
            if all(_goes_on(dialect, ids, answer, cut, top) for cut in cuts):
                _tell(looking, dialect, way, len(cuts))
                _tell_repeats(looking, dialect, ids, answer, cuts[0])
                return
    dialect.prefill = None
    looking.tell(
        "begins every answer anew"
        if cuts
        else "wrote no answer from which it could be told whether it goes on from one",
        f"POST {PATH} with the beginning of an answer, in {len(WAYS)} ways",
    )
    looking.notices.append(
        "The server begins every answer anew: what it streams can be read, but no other token can "
        "be taken within an answer."
    )


def _tell(looking: Look, dialect: OpenAIChat, way: Prefill, places: int) -> None:
    counted = ", and counts as many tokens" if dialect.counts else ""
    looking.tell(
        f"goes on from an answer that is begun, by {way.name}: after {places} beginnings of one it "
        f"lists what it listed there{counted}",
        f"POST {PATH} with the beginning of an answer",
    )


def _tell_repeats(
    looking: Look, dialect: OpenAIChat, ids: Sequence[int], answer: Sequence[Step], cut: int
) -> None:
    path = _path(ids, answer, cut)
    text = dialect.choice(dialect.body(path, 1, 1)).text
    repeats = text.startswith(dialect.answer_of(path))
    looking.tell(
        "repeats that beginning in front of the text of its answer, but not among its tokens"
        if repeats
        else "answers with what is new alone",
        f"POST {PATH} with the beginning of an answer",
    )


def _cuts(dialect: OpenAIChat, ids: Sequence[int], answer: Sequence[Step]) -> list[int]:
    """Lengths of beginnings of the answer after which other candidates come than before it."""
    found: list[int] = []
    for cut in range(1, len(answer)):
        if same_step(answer[0].distribution, answer[cut].distribution):
            continue
        try:
            text = dialect.answer_of(_path(ids, answer, cut))
        except UsageError:
            continue
        if text == text.strip():
            found.append(cut)
    wide = len(found) // _CUTS or 1
    return found[wide - 1 :: wide][:_CUTS]


def _goes_on(
    dialect: OpenAIChat, ids: Sequence[int], answer: Sequence[Step], cut: int, top: int
) -> bool:
    try:
        told = dialect.describe(_path(ids, answer, cut), top)
    except (ServerError, UsageError):
        return False
    return same_step(answer[cut].distribution, told)


def _path(ids: Sequence[int], answer: Sequence[Step], cut: int) -> list[int]:
    return [*ids, *(step.token for step in answer[:cut])]


def same_step(ours: Distribution, theirs: Distribution) -> bool:
    """Whether two lists of candidates are of one step."""
    first, second = (
        {token: told.logprob(index) for index, token in enumerate(told.id_view)}
        for told in (ours, theirs)
    )
    both = first.keys() & second.keys()
    near = all(abs(first[token] - second[token]) <= ERROR for token in both)
    return near and 2 * len(both) >= max(len(first), len(second))
