"""The gallery: prompts that show something about sampling, each opened by one key."""

from typing import NamedTuple

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings


class Example(NamedTuple):
    """One of the gallery."""

    title: str
    look: str
    """What to look at, said when it is opened."""
    text: str = ""
    prefill: str = ""
    """The assistant's first words; after the text where the model knows no chats."""
    chat: bool = False
    """Whether it is a question for a model with a chat template."""
    settings: SamplingSettings = SamplingSettings()
    length: int = 64
    words: str = ""
    """Words with logits for the lens, instead of a prompt."""

    def spec(self, *, can_chat: bool) -> PromptSpec:
        """The prompt for a model that has a chat template, or has none."""
        if self.chat and can_chat:
            return PromptSpec(chat=Chat((Message("user", self.text),), self.prefill))
        return PromptSpec(text=f"{self.text}\n{self.prefill}" if self.prefill else self.text)


_HOT = SamplingSettings(temperature=1.0)

EXAMPLES = (
    Example(
        "The cat slept on the",
        "One step, many likely words: s turns the temperature and top-p, C runs five temperatures.",
        "The cat slept on the",
        length=1,
    ),
    Example(
        "hello, this is my favorite",
        "Nothing decides what comes next: ↑↓ and ⏎ take another word, d compares.",
        "hello, this is my favorite",
        settings=_HOT,
    ),
    Example(
        "为什么今天是礼拜五, with the answer begun",
        "The answer's first words are given. A template that closes the turn after them ends it: "
        "look at the end of the prompt.",
        "为什么今天是礼拜五",
        prefill="今天是否是礼拜五取决于你所在的地区",
        chat=True,
    ),
    Example(
        "who are you, again and again",
        "r draws again: how many different answers come, and at which step do they part?",
        "who are you",
        chat=True,
        settings=_HOT,
        length=32,
    ),
    Example(
        "Write a unique, surprising, extremely randomized story ...",
        "Asked for chance, a model is still sure of its first words: look at the entropy strip.",
        "Write a unique, surprising, extremely randomized story with highly unpredictable changes "
        "of events.",
        chat=True,
        settings=_HOT,
        length=128,
    ),
    Example(
        "Five words and their logits, at temperature 1 and 100",
        "",
        words="ceiling=-49.82,floor=-46.40,mat=-45.25,car=-47.30,grass=-48.32",
    ),
)
