"""Exports of made trees: a hostile vocabulary, what is written, and a page's tags."""

import html.parser
import io

from support.sessions import SETTINGS
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.export.formats import export
from tokexplore.tui.export.import_jsonl import Lines
from tokexplore.tui.export.source import Scope, Source

HOSTILE = [
    b"<script>document.title='owned'</script>", b"</script><img src=x onerror=alert(1)>", b"]]>",
    b"</style>", b"-->", b"\x1b]0;owned\x07", b"\xc2\x9b31m", "\u202eevil".encode(), b"\xff\xfe",
    b'"quoted"', b"'", b"&lt;", b"=1+1", b"@SUM(A1)", b"| pipe |", b"`code`", b"[x](y)", b"\n",
    b"\t", b"\\", b"{", "\u2028".encode(), "e\u0301".encode(), "🦊".encode(),
]  # fmt: skip
WORDS = [b"<s>", *HOSTILE, *(b" w%d" % n for n in range(len(HOSTILE) + 1, 300))]
VOCABULARY = Vocabulary.pack(WORDS, [0], 300)


def source_of(tree: TokenTree, leaf: int = 0) -> Source:
    return Source(tree, VOCABULARY, leaf or tree.branches[0].tip, "a <b>title</b>", SETTINGS)


def written(source: Source, form: str, scope: Scope = "all", candidates: int = 20) -> bytes:
    out = io.BytesIO()
    export(source, form, scope, candidates, out)
    return out.getvalue()


def imported(data: bytes) -> Source:
    tree = TokenTree()
    lines = Lines(data.splitlines(keepends=True), "x.jsonl")
    told = lines.make(tree)
    return Source(tree, told.vocabulary, told.leaf, "x", told.settings)


class Page(html.parser.HTMLParser):
    """The tags of a page, and what stands in some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[tuple[str, str | None]] = []
        self.data = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [(n, v) for n, v in attrs if n in ("src", "href", "onerror", "onload")]
        self._inside = "data" if ("id", "data") in attrs else ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""
