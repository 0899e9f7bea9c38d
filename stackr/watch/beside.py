"""A watch in a thread, beside what the command shows."""

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stackr_schemas.compose.project import Project

from stackr.invocation import Invocation


@contextmanager
def watching(invocation: Invocation, project: Project) -> Iterator[None]:
    """Watch a project inside the `with` block; StackrError when there is nothing to watch."""
    from stackr.watch.watcher import Watcher

    watcher = Watcher(invocation, project)
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(watcher.run,), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watcher.stop()
        thread.join()
        watcher.close()
