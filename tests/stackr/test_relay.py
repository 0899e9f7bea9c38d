"""The relay between a client's streams and a container's."""

import os
import threading

from stackr.relay import Relay


def test_it_carries_both_ways_and_ends_with_the_outputs() -> None:
    client_in, feed = os.pipe()
    process_in, to_process = os.pipe()
    from_process, process_out = os.pipe()
    shown, client_out = os.pipe()
    relay = Relay()
    relay.add_input(client_in, to_process, lambda: os.close(to_process))
    relay.add_output(from_process, client_out)
    os.write(feed, b"question")
    os.close(feed)
    os.write(process_out, b"answer")
    os.close(process_out)
    relay.run()
    assert os.read(shown, 100) == b"answer"
    assert os.read(process_in, 100) == b"question"
    for fd in (client_in, process_in, from_process, shown, client_out):
        os.close(fd)


def test_stop_carries_what_is_there_first() -> None:
    from_process, process_out = os.pipe()
    shown, client_out = os.pipe()
    relay = Relay()
    relay.add_output(from_process, client_out)
    thread = threading.Thread(target=relay.run)
    os.write(process_out, b"x" * 50_000)
    relay.stop()
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert len(os.read(shown, 65536)) == 50_000
    for fd in (from_process, process_out, shown, client_out):
        os.close(fd)


def test_the_end_of_input_is_passed_on_and_is_not_the_relays_end() -> None:
    client_in, feed = os.pipe()
    process_in, to_process = os.pipe()
    from_process, process_out = os.pipe()
    relay = Relay()
    relay.add_input(client_in, to_process, lambda: os.close(to_process))
    relay.add_output(from_process, os.open(os.devnull, os.O_WRONLY))
    thread = threading.Thread(target=relay.run)
    thread.start()
    os.close(feed)
    assert os.read(process_in, 10) == b""
    assert thread.is_alive()
    os.close(process_out)
    thread.join(5)
    assert not thread.is_alive()
    for fd in (client_in, process_in, from_process):
        os.close(fd)


def test_a_program_that_does_not_read_its_input_is_still_heard() -> None:
    client_in, feed = os.pipe()
    process_in, to_process = os.pipe()
    from_process, process_out = os.pipe()
    shown, client_out = os.pipe()
    relay = Relay()
    relay.add_input(client_in, to_process, lambda: os.close(to_process))
    relay.add_output(from_process, client_out)
    thread = threading.Thread(target=relay.run)
    thread.start()
    for _ in range(4):  # more than the pipe of the program's stdin holds
        os.write(feed, b"i" * 32768)
    os.write(process_out, b"heard")
    assert os.read(shown, 10) == b"heard"
    os.close(feed)
    received = b""
    while part := os.read(process_in, 65536):
        received += part
    assert received == b"i" * 4 * 32768
    os.close(process_out)
    thread.join(5)
    assert not thread.is_alive()
    for fd in (client_in, process_in, from_process, shown, client_out):
        os.close(fd)
