"""Experiments of the lab in the Markdown report."""

from collections.abc import Iterator

from tokexplore.models.display import safe_text
from tokexplore.tui.export.source import Scope, Source
from tokexplore.tui.export.study_fields import studies_of
from tokexplore.tui.report.repeat_text import one_line
from tokexplore.tui.report.study_text import study_lines


def lab_sections(source: Source, scope: Scope) -> Iterator[str]:
    """A section for each experiment with runs; its lines stand as they are, and none is markup.

    Each begins with words or signs of ours, so that no token ends the block.
    """
    for node, studies in studies_of(source, scope):
        for study in studies:
            if not study.runs:
                continue
            yield f"## Lab: one request {len(study.runs)} times\n\n```text\n"
            yield f"after “{one_line(source.vocabulary, source.tree.ids(node))}”\n"
            varied = ", ".join(study.varied) or "nothing"
            yield safe_text(f"{study.setting} · {study.dtype} · {study.length} tokens a run") + "\n"
            yield safe_text(f"varied: {varied}") + "\n"
            yield from (f"{safe_text(notice)}\n" for notice in study.notices or ())
            yield "\n"
            for line in study_lines(study, source.vocabulary):
                yield f"{safe_text(line)}\n"
            yield "```\n\n"
