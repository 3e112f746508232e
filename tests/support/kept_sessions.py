"""Sessions that programs of earlier days kept, and what is still read from them.

    python -m support.kept_sessions [FOLDER]    from `tests`: writes anew what is expected

A change that alters an export on purpose alters what is expected with it. With a folder, the
exports are written there too: two folders, of before and after, tell what differs.
"""

import gzip
import hashlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tokexplore import __version__
from tokexplore.models.session.reader import Session, open_session
from tokexplore.models.session.rows import KINDS
from tokexplore.models.tree.undo import told
from tokexplore.tui.cli.export_session import source_of
from tokexplore.tui.export.formats import FORMATS, export
from tokexplore.tui.export.source import SCOPES

FOLDER = Path(__file__).parents[1] / "data" / "sessions"
EXPECTED = FOLDER / "expected.json"
NAMES = sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.tokx.gz"))
CANDIDATES = 5
_TAIL_MASS = re.compile(rb'(?<="tail_mass":)[-+.e0-9]+')


def laid_out(name: str, folder: Path) -> Path:
    """A copy of a session in a folder, with the log beside it where one was left."""
    for packed in FOLDER.glob(f"{name}.tokx*.gz"):
        (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return folder / f"{name}.tokx"


def steady(data: bytes) -> bytes:
    """An export without what may differ while all is well: our version, the last bits of exp."""
    data = data.replace(f'"version":"{__version__}"'.encode(), b'"version":""')
    return _TAIL_MASS.sub(lambda found: b"%.9f" % float(found[0]), data)


def exports(session: Session) -> Iterator[tuple[str, bytes]]:
    """Every format of every scope."""
    source = source_of(session)
    is_chat = any(prompt.chat is not None for prompt in session.tree.prompts.values())
    for form in (form for form in FORMATS if is_chat or form != "messages"):
        for scope in SCOPES:
            out = io.BytesIO()
            export(source, form, scope, CANDIDATES, out)
            yield f"{form} {scope}", steady(out.getvalue())


def end_of(session: Session) -> dict[str, object]:
    """Where a session ended, as far as exports do not tell it."""
    tree = session.tree
    last = {node: studies[-1] for node, studies in tree.studies.items()}
    studies = msgspec.to_builtins(last, str_keys=True)
    for study in studies.values():
        study["runs"] = [run["ids"] for run in study["runs"]]
        study["forks"] = [fork["verdict"] for fork in study["forks"]]
    step = tree.history.undoable
    change = told(step) if step else None
    return {
        "nodes": len(tree) - 1,
        "leaf": session.leaf,
        "cursor": session.cursor,
        "branches": [[b.head, b.tip, b.hidden, b.name] for b in tree.branches],
        "withdrawn": sorted(tree.withdrawn),
        "bookmarks": sorted(tree.bookmarks),
        "settings": [settings.short() for settings in tree.settings],
        "chats": msgspec.to_builtins(
            {n: p.chat for n, p in tree.prompts.items() if p.chat is not None}, str_keys=True
        ),
        "studies": studies,
        "undoable": [KINDS[type(change)], *msgspec.structs.astuple(change)] if change else None,
        "damage": session.damage,
    }


def expected_of(session: Session) -> dict[str, object]:
    """What is expected of a session: its end, and the SHA-256 of each export."""
    digests = {label: hashlib.sha256(data).hexdigest() for label, data in exports(session)}
    return {"end": end_of(session), "exports": digests}


def main(shown: Path | None) -> None:
    """Write down what is expected, and the exports where a folder is named."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            session = open_session(laid_out(name, Path(folder)), to_write=False)
            found[name] = expected_of(session)
            if shown is not None:
                shown.mkdir(parents=True, exist_ok=True)
                for label, data in exports(session):
                    (shown / f"{name} {label}").write_bytes(data)
    EXPECTED.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
