"""Offline nothing says that it is downloading."""

import contextlib
import sys

import pytest

from causaliqa.utils.offline import builder_output


@pytest.mark.parametrize(("offline", "shown"), [("1", False), ("0", True)])
def test_downloads_are_not_announced_offline(monkeypatch, capsys, offline, shown):
    monkeypatch.setenv("CAUSALIQA_OFFLINE", offline)
    with contextlib.redirect_stdout(builder_output()):
        sys.stdout.write('Downloading: "https://example.org/a.pth" to /x\n')
        print("Loading pretrained model")
        print('Downloading: "https://example.org/b.pth"', "to /y\n")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Loading pretrained model" in err
    assert ("Downloading" in err) is shown
