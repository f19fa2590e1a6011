"""A process that stays, as its service manager sees it."""

import os
import signal
import socket

import pytest

from ingest.warehouse import service
from ingest.warehouse.service import Service, Stopped, tell_manager


@pytest.fixture(params=["path", "abstract"])
def manager(request, monkeypatch, tmp_path):
    """A socket that datagrams come to, as systemd names it: a path, or @name of the abstract namespace."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@svod-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name.replace("@", "\0", 1))
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield channel


def test_the_manager_is_told_that_the_process_is_alive_once_a_second(manager):
    ours = Service()
    ours.alive()
    ours.alive()
    tell_manager("READY=1")
    assert [manager.recv(100) for _ in range(2)] == [b"WATCHDOG=1", b"READY=1"]


def test_told_to_stop_it_ends_with_0_where_it_says_that_it_is_alive(manager):
    ours = Service()
    with ours.stopped_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped) as stopped:
            ours.alive()
    assert stopped.value.code == 0
    assert manager.recv(100) == b"STOPPING=1"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_without_a_manager_nobody_is_told_and_nothing_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(service, "ALIVE_EVERY_S", 0)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Service().alive()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    Service().alive()
