"""A production installation has no web server: `publish sandbox` says what to install."""

import sys

import pytest

from publish.cli import main


def test_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "publish.sandbox", None)
    monkeypatch.setattr(sys, "argv", ["publish", "sandbox"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert ".[sandbox]" in capsys.readouterr().err
