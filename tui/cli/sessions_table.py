"""`tokexplore sessions`: the sessions that are here, and how they ended."""

import time

from tokexplore.models.display import counted
from tokexplore.models.session.listing import ending, size_of
from tokexplore.models.session.paths import all_files, out_of_reach, sessions_folder
from tokexplore.models.session.reader import Listed, listed
from tokexplore.tui.report.step_text import plain_text
from tokexplore.widgets.cell_text import cut, fit

_NAME, _MODEL = 36, 20


def session_table(width: int) -> str:
    """A line for each session, the latest first, and one for all that hold nothing; cut to `width`
    cells (0 cuts nothing); empty where they are out of reach."""
    found = [listed(path) for path in all_files()]
    if not found and out_of_reach():
        return ""
    if not found:
        return f"No sessions yet: they will lie in {plain_text(str(sessions_folder()))}.\n"
    head = f"{'name':<{_NAME}} {'model':<{_MODEL}} {'when':<16} {'tokens':>9} {'MB':>8}  begins"
    told = [session for session in found if not session.holds_nothing]
    lines = [head, *map(session_line, told)] if told else []
    if empty := len(found) - len(told):
        holds = "holds" if empty == 1 else "hold"
        lines.append(f"{counted(empty, 'session')} {holds} nothing, not a token.")
    return "".join(f"{cut(line, width) if width else line}\n" for line in lines)


def session_line(session: Listed) -> str:
    """One session as a line of the list."""
    name = fit(plain_text(session.path.stem), _NAME)
    if session.problem:
        return f"{name} {plain_text(session.problem)}"
    summary = session.summary
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.updated or session.created))
    words = plain_text(" ".join(summary.words.split()))
    how = ending(session)
    return (
        f"{name} {fit(plain_text(summary.model), _MODEL)} {when:<16} {summary.nodes:>9,} "
        f"{size_of(session):>8,.1f}  {words}{f'  [{how}]' if how else ''}"
    )
