import socket
from pathlib import Path

from stackr_engine.network.resolver_main import Server


def test_what_a_killed_resident_said_before_it_was_accepted_is_obeyed(tmp_path: Path) -> None:
    address = str(tmp_path / "resolver.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
        server = Server(listener)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as resident:
            resident.connect(address)
            resident.send(b"c/the/hosts/file")
        server.loop.step()
        server.loop.step()
        assert server._host.file == "/the/hosts/file"
