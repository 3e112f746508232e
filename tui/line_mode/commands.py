"""The commands of the line mode: one method each, and the list that `help` is made from."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tokexplore.models.api.options import PromptSpec
from tokexplore.models.display import safe_text
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.knobs import BY_NAME, with_value
from tokexplore.models.tree.events import Named
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.undo import Step
from tokexplore.models.untrusted import BITS, LARGEST_COUNT, brief, number_of
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.text_scores import TextScores
from tokexplore.tui.explore.undo_text import words_of
from tokexplore.tui.line_mode.printer import LinePrinter
from tokexplore.tui.line_mode.render import branch_lines, comparison_lines, place, step_lines
from tokexplore.tui.presenters.candidates import View
from tokexplore.tui.presenters.status import sampler_words
from tokexplore.tui.report.probability_text import ranking_lines, text_lines
from tokexplore.tui.report.step_text import number, percent

ROWS = 10
"""Candidates that `table` lists when no number is given."""


StepShown = tuple[Explorer, Distribution | None, View | None]


class Commands:
    """What can be typed. Each takes the rest of its line."""

    def __init__(self, lines: LinePrinter) -> None:
        self._lines = lines
        self.controller, self.explorer = lines.controller, lines.explorer
        self.ended = False
        """Whether the user is done."""

    async def go(self, rest: str) -> None:
        """Go on at the end of this branch, by N tokens."""
        self._need_prompt()
        count = _whole(rest, "go", least=1) if rest else None
        if self.controller.state == "lost":
            await self.controller.engine_life.restart()
        self.explorer.follow()
        self._lines.tell_from(len(self.explorer.nodes))
        self.controller.play(count)

    async def step(self, rest: str) -> None:
        """Go to a step and list its candidates."""
        self._need_prompt()
        explorer = self.explorer
        if rest.startswith(("+", "-")):
            explorer.place(explorer.cursor + _whole(rest, "step"))
        elif rest == "end":
            explorer.place(len(explorer.nodes))
        elif rest:
            wanted = _whole(rest, "step", least=1)
            index = explorer.index_of_step(wanted)
            if index is None:
                last = explorer.step(len(explorer.nodes) - 1)
                raise UsageError(f"step {wanted} is not on this branch: it has {last} steps.")
            explorer.place(index)
        await self.table("")

    async def table(self, rest: str) -> None:
        """List the first K candidates at this step."""
        self._need_prompt()
        count = _whole(rest, "table", least=1) if rest else ROWS
        for line in step_lines(*(await self._step()), count):
            self._lines.say(line)

    async def pick(self, rest: str) -> None:
        """Take a row of the table at this step, and go on from there."""
        self._need_prompt()
        row = _whole(rest, "pick", least=1)
        distribution = (await self._step())[1]
        if distribution is None:
            raise UsageError("no candidates are known at this step: go to a later one.")
        if row <= len(distribution):
            token = distribution.id_view[row - 1]
        elif row <= distribution.available:
            rows = await self.controller.queries.rows(self.explorer.before, row - 1, 1)
            token = memoryview(rows.ids).cast("I")[0]
        else:
            raise UsageError(f"there is no row {row}: the last is {distribution.available}.")
        await self._take(token)

    async def take(self, rest: str) -> None:
        """Take a token by its id at this step, and go on from there."""
        self._need_prompt()
        token = _whole(rest, "take", least=0)
        if self.controller.link.info is None or token >= self.controller.link.info.vocabulary:
            raise UsageError(f"id {token} is not in the vocabulary: see find and table.")
        await self._take(token)

    async def _take(self, token: int) -> None:
        explorer = self.explorer
        before = explorer.before
        await self.controller.take(token, before)
        self._lines.say(place(explorer))
        self._lines.tell_from(explorer.tree.depth[before])

    async def type_text(self, rest: str) -> None:
        """Put text of your own in at this step."""
        self._need_prompt()
        if not rest:
            raise UsageError("type needs a text, such as: type  and then")
        start = self.explorer.cursor
        await self.controller.type_text(rest)
        self._lines.tell_from(start)

    async def probability(self, rest: str) -> None:
        """How probable a text is at this step, beside those asked for before; no branch."""
        self._need_prompt()
        scores = TextScores(self.controller)
        if not rest and not scores.all:
            raise UsageError("prob needs a text, such as: prob  and then")
        shown = [await scores.score(rest)] if rest else scores.all
        for text in shown:
            for line in text_lines(text, self.explorer.vocabulary, scores.others_name(text)):
                self._lines.say(line)
        if len(scores.comparable) > 1:
            for line in ranking_lines(scores.comparable):
                self._lines.say(line)

    async def again(self, _rest: str) -> None:
        """Draw this step once more (at a temperature above 0)."""
        self._need_prompt()
        start = self.explorer.cursor
        await self.controller.draw_again()
        self._lines.tell_from(start)

    async def find(self, rest: str) -> None:
        """Search the vocabulary at this step."""
        self._need_prompt()
        vocabulary = self.explorer.vocabulary
        if not rest or self.explorer.before == ROOT:
            raise UsageError("find needs a text, and a step that follows a token.")
        rows = await self.controller.queries.search(self.explorer.before, rest, ROWS)
        ids, logits = memoryview(rows.ids).cast("I"), memoryview(rows.logits).cast("f")
        ranks = memoryview(rows.ranks).cast("I")
        for token, logit, rank in zip(ids, logits, ranks, strict=True):
            logprob = logit - rows.lse
            self._lines.say(
                f"rank {rank}  id {token}  {vocabulary.show(token)}  logprob {number(logprob)}  "
                f"model {percent(logprob)}"
            )
        listed = f" of the first {rows.of:,}" if rows.source == "listed" else ""
        self._lines.say(f"{rows.total:,}{listed} tokens hold this text; take ID takes one")

    async def branch(self, rest: str) -> None:
        """List the branches, or switch to one."""
        if rest:
            wanted = self._branch(rest)
            await self.controller.switch(lambda: wanted)
            self._lines.say(place(self.explorer))
            self._lines.tell_from(len(self.explorer.nodes))
            return
        for line in branch_lines(self.explorer, self.controller.live_leaves):
            self._lines.say(line)

    async def compare(self, rest: str) -> None:
        """How branches go on from where they part."""
        self._need_prompt()
        for line in comparison_lines(self.explorer, [self._branch(w) for w in rest.split()]):
            self._lines.say(line)

    async def text(self, _rest: str) -> None:
        """The whole text of the branch in view."""
        self._lines.tell_from(0)
        self._lines.tell()

    async def where(self, _rest: str) -> None:
        """Where this is, the settings and the model."""
        self._lines.say(place(self.explorer))
        self.introduce()

    def introduce(self) -> None:
        """Tell the settings and the model."""
        self._lines.say(f"sampling: {self._setup()}")
        if (info := self.controller.link.info) is not None:
            size = f"{info.parameters:,} parameters, " if info.parameters else ""
            of = f" of {info.context:,}" if info.context else ""
            self._lines.say(
                f"model: {info.name}, {info.family}, {size}{info.precision} on {info.device}, "
                f"{len(self.explorer.nodes):,}{of} positions used"
            )
            for limit in info.capabilities.limits:
                self._lines.say(limit)

    async def change(self, rest: str) -> None:
        """Set temperature, top-k, top-p or another number of the sampler, or length."""
        name, _, given = rest.partition(" ")
        if name == "length":
            length = _whole(given, "set length", least=1)
            self.controller.streams.configure(self.explorer.settings, length)
        elif (knob := BY_NAME.get(name)) is not None:
            value = _number(given, f"set {name}", "a whole number" if knob.whole else "a number")
            changed = with_value(self.explorer.settings, knob, value)
            self.controller.streams.configure(changed, self.controller.streams.max_new_tokens)
        else:
            names = ", ".join(BY_NAME)
            raise UsageError(f"{name!r} is no setting: {names} or length.")
        self._lines.say(f"sampling: {self._setup()}")

    def _setup(self) -> str:
        return f"{sampler_words(self.controller)}, length {self.controller.streams.max_new_tokens}"

    async def prompt(self, rest: str) -> None:
        """Start on another prompt; what there is stays."""
        if not rest:
            raise UsageError("prompt needs a text, such as: prompt The capital of France is")
        await self.controller.prompt(PromptSpec(text=rest))
        self._lines.tell_from(0)

    async def name(self, rest: str) -> None:
        """Give the branch in view a name."""
        self._need_prompt()
        branch = self.explorer.branch
        assert branch is not None
        self.explorer.tree.history.change(Named(branch.number, rest))
        self._lines.say(
            f"branch {branch.number} is called {rest}" if rest else "it has no name now"
        )

    async def hide(self, _rest: str) -> None:
        """Hide the branch in view."""
        number = await self.controller.hide()
        if number is None:
            raise UsageError("no branch would be left in view.")
        self._lines.say(f"branch {number} is hidden; undo brings it back")
        self._lines.say(place(self.explorer))

    async def undo(self, _rest: str) -> None:
        """Take the last change back."""
        self._tell_change(
            "took back", await self.controller.undo(), "there is nothing to take back"
        )

    async def redo(self, _rest: str) -> None:
        """Make it again."""
        self._tell_change(
            "made again", await self.controller.redo(), "there is nothing to make again"
        )

    def _tell_change(self, done: str, step: Step | None, nothing: str) -> None:
        if step:
            self._lines.say(f"{done}: {safe_text(words_of(self.explorer, step))}")
            self._lines.say(place(self.explorer))
        else:
            self._lines.say(nothing)

    async def help(self, _rest: str) -> None:
        """This list."""
        for command in COMMANDS:
            self._lines.say(f"  {command.usage:<18}{command.meaning}")
        self._lines.say(
            "A line that is typed while text is streaming stops it; ctrl+c does so too."
        )

    async def quit(self, _rest: str) -> None:
        """Leave."""
        self.ended = True

    async def _step(self) -> StepShown:
        """The cursor's step, once its numbers are known."""
        controller = self.controller
        while True:
            distribution, view = (
                controller.queries.distribution(),
                controller.queries.sampler_view(),
            )
            if (distribution is not None and view is not None) or not controller.busy:
                return self.explorer, distribution, view
            self._lines.moved.clear()
            await self._lines.moved.wait()

    def _branch(self, text: str) -> int:
        wanted, count = _whole(text.lstrip("#"), "branch"), len(self.explorer.tree.branches)
        if not 1 <= wanted <= count:
            raise UsageError(f"there is no branch {wanted}: there are {count}.")
        if self.explorer.row_of(wanted) is None:
            raise UsageError(
                f"branch {wanted} was taken back (redo makes the last one again) or is hidden."
            )
        return wanted

    def _need_prompt(self) -> None:
        if not self.explorer.nodes:
            raise UsageError("there is no prompt yet: prompt TEXT gives one.")


def _whole(text: str, what: str, least: float = -LARGEST_COUNT) -> int:
    value = _number(text, what, "a whole number", str(LARGEST_COUNT))
    if not isinstance(value, int):
        raise UsageError(f"{what} needs a whole number, not {brief(text)!r}.")
    if not least <= value <= LARGEST_COUNT:
        given = "or more" if value < least else f"to {LARGEST_COUNT}"
        raise UsageError(f"{what} {value} is not possible: give {least} {given}.")
    return value


def _number(text: str, what: str, kind: str = "a number", most: str = f"2^{BITS} - 1") -> float:
    try:
        return number_of(text)
    except ValueError:
        if text.strip().lstrip("+-").isdecimal():
            raise UsageError(
                f"{what} {brief(text)} is not possible: give at most {most}."
            ) from None
        raise UsageError(f"{what} needs {kind}, not {brief(text)!r}.") from None


class Command(NamedTuple):
    """A command as `help` tells it; any beginning of its name that is no other's will do."""

    name: str
    usage: str
    run: Callable[[Commands, str], Awaitable[None]]
    verbatim: bool = False
    """Whether spaces around the rest of the line belong to it."""

    @property
    def meaning(self) -> str:
        """What it does, as its method says."""
        return self.run.__doc__ or ""


COMMANDS = (
    Command("go", "go [N]", Commands.go),
    Command("step", "step N|+1|-1|end", Commands.step),
    Command("table", "table [K]", Commands.table),
    Command("pick", "pick ROW", Commands.pick),
    Command("find", "find TEXT", Commands.find, verbatim=True),
    Command("take", "take ID", Commands.take),
    Command("type", "type TEXT", Commands.type_text, verbatim=True),
    Command("prob", "prob [TEXT]", Commands.probability, verbatim=True),
    Command("again", "again", Commands.again),
    Command("branch", "branch [N]", Commands.branch),
    Command("compare", "compare [N ...]", Commands.compare),
    Command("text", "text", Commands.text),
    Command("where", "where", Commands.where),
    Command("set", "set NAME VALUE", Commands.change),
    Command("prompt", "prompt TEXT", Commands.prompt, verbatim=True),
    Command("name", "name [TEXT]", Commands.name),
    Command("hide", "hide", Commands.hide),
    Command("undo", "undo", Commands.undo),
    Command("redo", "redo", Commands.redo),
    Command("help", "help", Commands.help),
    Command("quit", "quit", Commands.quit),
)


def find_command(word: str) -> Command:
    """The command of a word or of the beginning of one.

    Raises:
        UsageError: for none, or more than one.
    """
    exact = [c for c in COMMANDS if c.name == word]
    found = exact or [c for c in COMMANDS if c.name.startswith(word)]
    if len(found) == 1:
        return found[0]
    meant = f"{' or '.join(c.name for c in found)}" if found else "see help"
    raise UsageError(f"{word!r} is {'more than one' if found else 'no'} command: {meant}.")
