"""What follows a copy: lines for the user, restarts, commands in containers."""

import os
import select
from threading import Event

from stackr_engine.execution import ExecOptions
from stackr_schemas.compose.hook import Hook
from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState

from stackr.invocation import Invocation
from stackr.scope import containers_of
from stackr.watch.rules import Rule


class Reaction:
    """Collects what a turn of the watch asks for, and carries it out."""

    def __init__(self, invocation: Invocation, project: str):
        self._invocation = invocation
        self._engine = invocation.engine
        self._project = project
        self._restarts: dict[str, None] = {}
        self._commands: list[Rule] = []
        self._stop_read, self._stop_write = os.pipe()

    def stop(self) -> None:
        """End a command that runs."""
        os.write(self._stop_write, b"x")

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._stop_read)
        os.close(self._stop_write)

    def say(self, text: str) -> None:
        """Print a line of news."""
        if self._invocation.has_colours:
            text = f"\033[36m{text}\033[0m"
        self._invocation.stdout.write(f"{text}\n")

    def say_synced(self, rule: Rule, count: int) -> None:
        """Say that changes were brought to a service."""
        self.say(f'Syncing service "{rule.service}" after {count} changes were detected')

    def note(self, rule: Rule, count: int) -> None:
        """Take in that a rule's files changed; what was to be copied has been."""
        if rule.copies:
            self.say_synced(rule, count)
        if rule.action in ("restart", "sync+restart"):
            self._restarts[rule.service] = None
        if rule.action == "sync+exec" and rule not in self._commands:
            self._commands.append(rule)

    def carry_out(self, ended: Event) -> None:
        """Restart and run what was asked for since the last time."""
        services, self._restarts = list(self._restarts), {}
        commands, self._commands = self._commands, []
        if services:
            self._restart(services)
        for rule in commands:
            for state in self._running([rule.service]):
                if rule.exec is not None and not ended.is_set():
                    self._execute(state, rule.exec)

    def _restart(self, services: list[str]) -> None:
        with self._engine.project_lock(self._project):
            for state in self._running(services):
                try:
                    self._engine.restart(state.id)
                except StackrError as error:
                    self._invocation.say(f"warning: {state.name} was not restarted: {error}")
        names = ", ".join(f'"{name}"' for name in services)
        self.say(f"service(s) [{names}] restarted")

    def _running(self, services: list[str]) -> list[ContainerState]:
        found = containers_of(self._engine, self._project, services)
        return [state for state in found if state.is_running]

    def _execute(self, state: ContainerState, hook: Hook) -> None:
        """Run a command, with what it prints shown; it ends with the watch."""
        options = ExecOptions(
            environment=tuple(
                f"{name}={value}" for name, value in hook.environment.items() if value is not None
            ),
            user=hook.user or None,
            working_dir=hook.working_dir or None,
            privileged=hook.privileged,
        )
        read, write = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            live = self._engine.live(state.id)
            process = live.execute(tuple(hook.command or ()), options, (null, write, write))
        except StackrError as error:
            os.close(read)
            self._invocation.say(f"warning: sync+exec in {state.name}: {error}")
            return
        finally:
            os.close(write)
            os.close(null)
        try:
            self._show(read)
            if self._is_stopped():
                process.kill()
            code = process.wait()
        finally:
            process.close()
            os.close(read)
        if code:
            self._invocation.say(f"warning: sync+exec in {state.name} ended with code {code}")

    def _show(self, read: int) -> None:
        """Print lines until their writer has closed, or the watch ends."""
        poll = select.poll()
        for fd in (read, self._stop_read):
            poll.register(fd, select.POLLIN)
        while not self._is_stopped():
            poll.poll()
            if self._is_stopped():
                return
            data = os.read(read, 65536)
            if not data:
                return
            self._invocation.stdout.write(data.decode(errors="replace"))

    def _is_stopped(self) -> bool:
        return bool(select.select([self._stop_read], [], [], 0)[0])
