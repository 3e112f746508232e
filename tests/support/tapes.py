"""Tapes that the app made of its keys."""


def without_waits(text: str) -> str:
    """A tape as keys that follow each other at once make it, however long they took here."""
    lines: list[str] = []
    for line in text.split("\n")[:-1]:
        word = line.partition(" ")[0]
        if word in ("Key", "Type") and lines and lines[-1].startswith(f"{word} "):
            lines[-1] += line.removeprefix("Key" if word == "Key" else "Type ")
        elif word != "Wait":
            lines.append(line)
    return "\n".join(lines) + "\n"
