"""A stream process inside the test: the real application behind a real uvicorn in a thread, on a free port."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flags.streams.app import StreamApplication
from flags.streams.running import make_application, make_server


@contextmanager
def running_stream(application: StreamApplication | None = None) -> Iterator[str]:
    """Serve until the block ends; gives the address."""
    server = make_server(application or make_application(), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, name="stream under test", daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "The stream did not start."
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        assert not thread.is_alive()
