"""Bytes as terminals send them, and as they should not: at their extremes, cut, and at random."""

import random

REPORTS = (
    b"\x1b[M !!", b"\x1b[M\xff\xfe\xfd", b"\x1b[<0;3;4M", b"\x1b[<35;9999;9999m", b"\x1b[<65;-5;3M",
    b"\x1b[<0;99999999999999999999;1M", b"\x1b[32;3;4M", b"\x1b[I", b"\x1b[O", b"\x1b[12;40R",
    b"\x1b[999999999;1R", b"\x1b[48;40;120;800;960t", b"\x1b[48;0;0;0;0t",
    b"\x1b[48;99999;99999;0;0t", b"\x1b[55296u", b"\x1b[1114112u", b"\x1b[97;;55296u",
    b"\x1b[97;;99999999999u", b"\x1b[57441;2u", b"\x1b]11;rgb:1e1e/1e1e/1e1e\x07",
    b"\x1b]10;rgb:0/0/0\x1b\\", b"\x1b]lname\x1b\\", b"\x1bP>|XTerm(390)\x1b\\",
    b"\x1bP1$r0m\x1b\\", b"\x1bP0+r\x1b\\", b"\x1b_Gi=1;OK\x1b\\", b"\x1b[?62;1;4;22c",
    b"\x1b[>1;95;0c", b"\x1b[?2026;2$y", b"\x1b[?2048;0$y", b"\x1b[4;2$y", b"\x1b[?1u",
    b"\x1b[8;40;120t",
)  # fmt: skip
"""Answers and reports that are no keys."""
PASTE, PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"
_LEAVES = b"\x03\x0f\x11\x1aqQ"
"""Keys that leave the program: quit, interrupt, suspend, an editor."""


def pasted(content: bytes) -> bytes:
    """Bytes as a terminal brackets them."""
    return PASTE + content.replace(PASTE_ENDS, b"") + PASTE_ENDS


def _piece(rng: random.Random) -> bytes:
    report = rng.choice(REPORTS)
    match rng.randrange(6):
        case 0:
            return report
        case 1:
            return report[: rng.randrange(1, len(report))]
        case 2:
            return pasted(rng.randbytes(rng.randrange(300)) + report)
        case 3:
            return rng.choice(("é", "是", "😀", "\u0301", "\udcff")).encode("utf-8", "replace")
        case 4:
            return rng.choice((b"\x1b[A", b"\x1b[6~", b"\x1b", b"\r", b"\x07", b"\t", b"?", b"2"))
        case _:
            return rng.randbytes(rng.randrange(40))


def stream(rng: random.Random, size: int) -> bytes:
    """About so many bytes of everything; none of its keys leaves the program."""
    pieces, length = list[bytes](), 0
    while length < size:
        pieces.append(_piece(rng).translate(None, _LEAVES))
        length += len(pieces[-1])
    return b"".join(pieces)
