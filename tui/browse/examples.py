"""The gallery of examples."""

import asyncio

from textual.content import Content

from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.browse.base import Actions
from tokexplore.tui.browse.model_wait import model_settled
from tokexplore.tui.explore.examples import EXAMPLES, Example


class ExampleActions(Actions):
    """What each opens."""

    async def action_examples(self) -> None:
        """Open one of the gallery."""
        from tokexplore.tui.screens.examples import ExamplePicker

        await self.screen.open(ExamplePicker(), self._example)

    def _example(self, index: int | None) -> None:
        if index is None:
            return
        example = EXAMPLES[index]
        if example.words:
            self.screen.run_worker(self._show_words(example))
        else:
            self.controller.jobs.change(self._open_example(example))

    async def _open_example(self, example: Example) -> None:
        """Start on an example, as soon as there is a model to know how."""
        controller = self.controller
        await model_settled(controller)
        controller.streams.configure(example.settings, example.length)
        can_chat = not controller.link.absent and controller.link.client.info.chat_template
        self.screen.tell(example.look, 10)
        await self.controller.prompt(example.spec(can_chat=can_chat))
        self.explorer.remark(self.explorer.nodes[self.explorer.prompt_length - 1], example.look)

    async def _show_words(self, example: Example) -> None:
        """The figures of a few words: no model has a part in it."""
        from tokexplore.tui.report.lens_text import parse_words, word_lines
        from tokexplore.tui.screens.dialog import Sheet

        words, logits = zip(*parse_words(example.words), strict=True)
        settings = [SamplingSettings(temperature=t) for t in (1.0, 100.0)]
        lines = await asyncio.to_thread(
            lambda: list(word_lines(words, logits, settings, draws=1000))
        )
        await self.screen.open(Sheet(example.title, Content("\n".join(lines))))
