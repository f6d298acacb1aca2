"""Help of every command on a terminal of 80 columns."""

import pytest
import typer.main
from typer.testing import CliRunner

from vqe_fast.cli.app import app

COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help(command, monkeypatch):
    """Nothing is cut off, and paragraphs are filled: no line ends where the source's does."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    result = CliRunner().invoke(app, [*([command] if command else []), "--help"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in result.stdout.replace(" …", "")
    if command == "enhance":
        text = " ".join(result.stdout.split())
        assert "A file that cannot be enhanced does not keep others from it; a table" in text
        assert "that cannot be\n" not in result.stdout.replace(" \n", "\n")
        for name in ("INPUT", "OUTPUT", "--estimate", "--start", "--segment-seconds"):
            assert name in text
