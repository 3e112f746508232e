"""A headless run as a session, to be opened later."""

from pathlib import Path

import msgspec

from tokexplore.models.api.chat import Rendered
from tokexplore.models.api.engine import Engine, StreamEvent
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session import paths
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.summary import summarise
from tokexplore.models.session.writer import View
from tokexplore.models.tree.events import Prompted, Viewed
from tokexplore.models.tree.record import record
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.session_recorder import ViewState

PATIENCE = 30.0
"""Seconds that the end waits for the disk."""


class RunSession:
    """Keeps what a run's engine says.

    Args:
        file: a new file.
        prompt: how the prompt was given, and what it was rendered to.
    """

    def __init__(
        self, file: Path, engine: Engine, load: LoadOptions, rendered: Rendered,
        settings: SamplingSettings, prompt: PromptSpec,
    ) -> None:  # fmt: skip
        self._journal = Journal(lambda: paths.create_file(file), lambda _text, _bad: None)
        self._engine, self._load, self._settings, self._file = engine, load, settings, file
        self._tree = TokenTree()
        self._tree.recorder = self._journal.record
        self._journal.vocabulary(engine.vocabulary)
        self._tree.load(engine.info.provenance)
        self._leaf = ROOT
        for token in rendered.ids:
            self._leaf = self._tree.take(self._leaf, token, "prompt")
        self._prompt = self._tree.path(self._leaf)
        form = "text" if prompt.chat is None else "chat"
        marks = engine.info.reasoning_marks if prompt.chat else ("", "")
        self._tree.append(Prompted(self._leaf, form, prompt.chat, rendered.parts, marks))
        self._tree.append(Viewed(self._leaf, -1))

    def add(self, event: StreamEvent) -> None:
        """Keep an event of the stream."""
        self._leaf = record(self._tree, self._leaf, event, path=self._prompt)

    def close(self) -> str:
        """Write the rest; a sentence where something could not be written, else nothing."""
        engine, nodes = self._engine, self._tree.path(self._leaf)
        path = TokenPath(self._tree, engine.vocabulary, nodes)
        summary = summarise(path, engine.info.name)
        state = msgspec.json.encode(ViewState(self._load, self._settings)).decode()
        self._journal.view(View(summary, state))
        problem = self._journal.close("quit", patience=PATIENCE)
        return f"The session in {self._file} is not whole: {problem}." if problem else ""
