"""The engine's side of the socket: one thread runs the engine, one reads.

Questions are answered between two tokens; streams, experiments and inquiries take turns, an event
each, and scores are worked on while there are neither.
The reading thread is the watchdog too: the end of the socket is the end of the interface, and it
ends this process at once, even while the engine's thread is inside a long computation.
"""

import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator

from tokexplore.models import errors
from tokexplore.models.api.engine import Control, Engine
from tokexplore.models.api.questions import AnyQuestion
from tokexplore.models.lab.experiment import conduct
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
    Event,
    Failed,
    Interpret,
    Load,
    Loaded,
    Loading,
    Repeat,
    Score,
    Stream,
)

_READ = 1 << 16


class Job:
    """A stream, a score, an experiment or an inquiry: an iterator, advanced an event at a time."""

    def __init__(self, command: Stream | Score | Repeat | Interpret) -> None:
        self.command = command
        self.number = command.number
        self.control = Control()
        self.credit = command.ahead if isinstance(command, Stream) else AHEAD
        self._events: Iterator[Event] | None = None

    @property
    def background(self) -> bool:
        """Whether it is worked on only while there is nothing else."""
        return isinstance(self.command, Score)

    @property
    def ready(self) -> bool:
        """Whether it may be advanced: a cancelled one always, so that it can end."""
        return self.credit > 0 or self.control.cancelled

    def advance(self, engine: Engine) -> Event | None:
        """The next event, None at the end; a cancelled score has nothing more to say."""
        if self.background and self.control.cancelled:
            self._events = None  # which holds a cache, however long nothing else is to be done
            return None
        if self._events is None:
            self._events = self._opened(engine)
        return next(self._events, None)

    def _opened(self, engine: Engine) -> Iterator[Event]:
        match self.command:
            case Stream(_, request):
                return engine.stream(request, self.control)
            case Score(_, ids, start):
                return engine.score(ids, start, self.control)
            case Repeat(_, experiment):
                return conduct(engine, experiment, self.control)
            case Interpret(_, inquiry):
                return inquiry.conduct(engine, self.control)


class Child:
    """Serves one engine to one interface."""

    def __init__(self, link: socket.socket, leave: Callable[[], None]) -> None:
        self._link = link
        self._leave = leave
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        # Everything below is shared by the two threads and guarded by `_changed`.
        self._waiting: deque[Load | Asked] = deque()
        self._jobs: dict[int, Job] = {}
        """By number, as their turns come."""
        self._gone = False

    def run(self, open_engine: OpenEngine) -> None:
        """Load the model that the interface names and serve it until the interface is gone."""
        threading.Thread(target=self._read, name="interface", daemon=True).start()
        load = self._next_work()
        if not isinstance(load, Load):
            return
        try:
            engine = open_engine(load.options, lambda progress: self._send(Loading(progress)))
        except Exception as error:
            self._fail(0, error)
            return
        self._send(Loaded(engine.info, engine.vocabulary))
        while work := self._next_work():
            match work:
                case Asked(number, question):
                    self._answer(engine, number, question)
                case Job():
                    self._advance(engine, work)

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
        """Apply at once what concerns the jobs; let the rest wait in line."""
        with self._changed:
            match message:
                case Configure(number, settings, length) if number in self._jobs:
                    control = self._jobs[number].control
                    control.settings, control.max_new_tokens = settings, length
                case Cancel(number) if number in self._jobs:
                    self._jobs[number].control.cancelled = True
                case Credit(number, tokens) if number in self._jobs:
                    self._jobs[number].credit += tokens
                case Stream() | Score() | Repeat() | Interpret():
                    self._jobs[message.number] = Job(message)
                case Load() | Asked():
                    self._waiting.append(message)
            self._changed.notify_all()

    # The engine's thread

    def _next_work(self) -> Load | Asked | Job | None:
        """What waits in line, else the job whose turn it is; None once the interface is gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._gone or self._waiting or self._ready_job())
            if self._gone:
                return None
            if self._waiting:
                return self._waiting.popleft()
            job = self._ready_job()
            if job:
                self._jobs[job.number] = self._jobs.pop(job.number)  # the others are next
            return job

    def _ready_job(self) -> Job | None:
        """The job to advance: one that is cancelled, one that is no score, else a score."""
        jobs = self._jobs.values()
        ending = [job for job in jobs if job.control.cancelled]
        streams = [job for job in jobs if not job.background]
        return next((job for job in ending or streams or jobs if job.ready), None)

    def _advance(self, engine: Engine, job: Job) -> None:
        """Take a job's next event; one that failed or has none left is over."""
        try:
            event = job.advance(engine)
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

    def _answer(self, engine: Engine, number: int, question: AnyQuestion) -> None:
        try:
            value = question.ask(engine)
        except Exception as error:
            self._fail(number, error)
        else:
            self._send(Answered(number, messages.raw(value)))

    def _fail(self, number: int, error: Exception) -> None:
        """Tell an error by class and text; one that is not meant for the user's eyes is logged."""
        if isinstance(error, errors.TokexploreError):
            known = (c.__name__ for c in type(error).__mro__ if c.__module__ == errors.__name__)
            self._send(Failed(number, next(known), str(error)))
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


def serve(link: socket.socket, open_engine: OpenEngine, leave: Callable[[], None]) -> None:
    """Serve an engine over a connected socket until the other side is gone.

    Args:
        leave: called by the reading thread when the interface is gone; a process of its own ends
            itself here.
    """
    Child(link, leave).run(open_engine)
