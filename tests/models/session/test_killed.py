"""A writer that is killed at any moment loses nothing that was written, and never the file."""

import json
import subprocess
import sys
from pathlib import Path

KILLS = 200


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.killed_writers", str(KILLS), str(tmp_path), "11"]
    tests = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == KILLS
    assert [r for r in results if r["wrong"]] == []
    assert [r for r in results if r["kept"] < r["told"]] == []
    assert sum(r["told"] > 10 for r in results) >= KILLS / 5, "many had something to lose"
