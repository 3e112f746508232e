"""The engine's side of the socket: one thread runs the engine, one reads.

Questions are answered between two tokens of a stream; a score runs when nothing else is to be done.
The reading thread is the watchdog too: the end of the socket is the end of the interface, and it
ends this process at once, even while the engine's thread is inside a long computation.
"""

import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator

from tokexplore.models import errors
from tokexplore.models.api.engine import Control, Engine, StreamEvent
from tokexplore.models.lab.experiment import Outcome, conduct
from tokexplore.models.opening import OpenEngine
from tokexplore.models.worker import messages
from tokexplore.models.worker.messages import (
    AHEAD,
    Answered,
    Asked,
    Cancel,
    Configure,
    Credit,
    Done,
    Emitted,
    Failed,
    Load,
    Loaded,
    Loading,
    Repeat,
    Score,
    Stream,
)

_READ = 1 << 16


class Job:
    """A stream, a score or an experiment: an iterator that is advanced one event at a time."""

    def __init__(self, command: Stream | Score | Repeat) -> None:
        self.command = command
        self.number = command.number
        self.control = Control()
        self.credit = command.ahead if isinstance(command, Stream) else AHEAD
        self.events: Iterator[StreamEvent | Outcome] = iter(())

    @property
    def ready(self) -> bool:
        """Whether it may be advanced: a cancelled one always, so that it can end."""
        return self.credit > 0 or self.control.cancelled

    def open(self, engine: Engine) -> None:
        """Ask the engine for the events."""
        match self.command:
            case Stream(_, request):
                self.events = engine.stream(request, self.control)
            case Score(_, ids, start):
                self.events = engine.score(ids, start, self.control)
            case Repeat(_, experiment):
                self.events = conduct(engine, experiment, self.control)


class Child:
    """Serves one engine to one interface."""

    def __init__(self, link: socket.socket, leave: Callable[[], None]) -> None:
        self._link = link
        self._leave = leave
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        # Everything below is shared with the reading thread and guarded by `_changed`.
        self._waiting: deque[Load | Asked | Job] = deque()
        self._jobs: dict[int, Job] = {}
        self._gone = False
        # Only the engine's thread uses these.
        self._stream: Job | None = None
        self._score: Job | None = None

    def run(self, open_engine: OpenEngine) -> None:
        """Load the model that the interface names and serve it until the interface is gone."""
        threading.Thread(target=self._read, name="interface", daemon=True).start()
        load = self._next_command()
        if not isinstance(load, Load):
            return
        try:
            engine = open_engine(load.options, lambda progress: self._send(Loading(progress)))
        except Exception as error:
            self._fail(0, error)
            return
        self._send(Loaded(engine.info, engine.vocabulary))
        while not self._gone:
            self._work(engine)

    # The reading thread

    def _read(self) -> None:
        inbox = messages.Inbox("interface")
        try:
            while data := self._link.recv(_READ):
                for message in inbox.feed(data):
                    self._take(message)
        except OSError:
            pass  # a reset socket means the same as its end
        except Exception:
            traceback.print_exc()  # the two sides have lost each other: nothing can be said there
        self._leave()
        with self._changed:
            self._gone = True
            for job in self._jobs.values():
                job.control.cancelled = True
            self._changed.notify_all()

    def _take(self, message: messages.Command) -> None:
        """Apply at once what concerns a job that runs or waits; let the rest wait in line."""
        with self._changed:
            match message:
                case Configure(number, settings, length) if number in self._jobs:
                    control = self._jobs[number].control
                    control.settings, control.max_new_tokens = settings, length
                case Cancel(number) if number in self._jobs:
                    self._jobs[number].control.cancelled = True
                case Credit(number, tokens) if number in self._jobs:
                    self._jobs[number].credit += tokens
                case Stream() | Score() | Repeat():
                    job = self._jobs[message.number] = Job(message)
                    self._waiting.append(job)
                case Load() | Asked():
                    self._waiting.append(message)
            self._changed.notify_all()

    # The engine's thread

    def _next_command(self) -> Load | Asked | Job | None:
        """The next command, None when a job is to be advanced or the interface is gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._gone or self._waiting or self._ready_job())
            return self._waiting.popleft() if self._waiting and not self._gone else None

    def _ready_job(self) -> Job | None:
        """The job to advance: the stream, or a score while no stream is there."""
        job = self._stream or self._score
        return job if job and job.ready else None

    def _work(self, engine: Engine) -> None:
        """Answer one question, start one job, or advance one by an event."""
        command = self._next_command()
        match command:
            case Asked(number, question):
                self._answer(engine, number, question)
            case Job():
                self._begin(engine, command)
            case _:
                if not self._gone and (job := self._ready_job()):
                    self._advance(job)

    def _begin(self, engine: Engine, job: Job) -> None:
        """Make a job the running one; the one that it replaces ends properly first."""
        is_stream = not isinstance(job.command, Score)
        old = self._stream if is_stream else self._score
        if old:
            old.control.cancelled = True
            while old.number in self._jobs:
                self._advance(old)
        try:
            job.open(engine)
        except Exception as error:
            self._drop(job)
            self._fail(job.number, error)
            return
        if is_stream:
            self._stream = job
        else:
            self._score = job

    def _advance(self, job: Job) -> None:
        try:
            event = next(job.events, None)
        except Exception as error:
            self._drop(job)
            self._fail(job.number, error)
            return
        if event is None:
            self._drop(job)
            self._send(Done(job.number))
            return
        with self._changed:
            job.credit -= messages.cost(event)
        self._send(Emitted(job.number, event))

    def _drop(self, job: Job) -> None:
        with self._changed:
            del self._jobs[job.number]
        if job is self._stream:
            self._stream = None
        elif job is self._score:
            self._score = None

    def _answer(self, engine: Engine, number: int, question: messages.Question) -> None:
        try:
            value = answer(engine, question)
        except Exception as error:
            self._fail(number, error)
        else:
            self._send(Answered(number, messages.raw(value)))

    def _fail(self, number: int, error: Exception) -> None:
        """Tell an error by class and text; one that is not meant for the user's eyes is logged."""
        if isinstance(error, errors.TokexploreError):
            self._send(Failed(number, type(error).__name__, str(error)))
            return
        traceback.print_exception(error)
        text = f"the engine failed: {type(error).__name__}: {error}"
        self._send(Failed(number, errors.TokexploreError.__name__, text))

    def _send(self, report: messages.Report) -> None:
        try:
            with self._sending:
                self._link.sendall(messages.frame(report))
        except OSError:
            with self._changed:
                self._gone = True


def answer(engine: Engine, question: messages.Question) -> object:
    """An engine's answer to a question, of the type that `ANSWERS` names."""
    match question:
        case messages.Encode(text, continuation, literal):
            return engine.encode(text, continuation=continuation, literal=literal)
        case messages.Render(chat):
            return engine.render(chat)
        case messages.NextTurn(ids, chat, user):
            return engine.next_turn(ids, chat, user)
        case messages.Describe(ids):
            return engine.describe(ids)
        case messages.FindRows(ids, start, count):
            return engine.rows(ids, start, count)
        case messages.Search(ids, text, limit):
            return engine.search(ids, text, limit)
        case messages.FindStandings(ids, tokens):
            return engine.standings(ids, tokens)
        case messages.Reshape(ids, settings, prompt_length):
            return engine.reshape(ids, settings, prompt_length)
        case messages.FindEffects(ids, several, prompt_length):
            return engine.effects(ids, several, prompt_length)
        case messages.Draw(ids, settings, count, prompt_length):
            return engine.draws(ids, settings, count, prompt_length)


def serve(link: socket.socket, open_engine: OpenEngine, leave: Callable[[], None]) -> None:
    """Serve an engine over a connected socket until the other side is gone.

    Args:
        leave: called by the reading thread when the interface is gone; a process of its own ends
            itself here.
    """
    Child(link, leave).run(open_engine)
