"""`manage.py demo`: the whole product on this machine with one command, without any other server."""

import fcntl
import json
import os
import signal
from argparse import ArgumentTypeError
from io import StringIO
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from flags.models import Project
from flagsite.demo.processes import HOST, Crew, Died, Program, is_port_free, next_free_port

READY_SECONDS = 60.0
# Closing the terminal or `kill` end the demo as Ctrl-C does.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    """Prepares the database, starts everything, and stops everything."""

    help = "Start the demo: web, stream, worker, beat and a sample service. Ctrl-C stops all of it; the data stays."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--port`: where the web server listens, on this machine only."""
        parser.add_argument("--port", type=_port, default=8000)

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        """Run until Ctrl-C or until one of the processes ends by itself."""
        if not settings.DEMO:
            raise CommandError("The demo has accounts with public passwords. Start it with `make demo`.")
        self.var: Path = settings.ENV.VAR_DIR
        self.base_url = f"http://{HOST}:{port}"
        for ending in ENDINGS:
            signal.signal(ending, signal.default_int_handler)
        lock = _lock(self.var)
        try:
            self._refuse_taken(port)
            self.stream_url = f"http://{HOST}:{self._stream_port(port)}"
            self._prepare()
            self._run(port)
        except KeyboardInterrupt:
            self.stdout.write("Stopped. The data stays: make demo goes on with it, make demo-reset starts over.")
        finally:
            (self.var / "demo.pid").unlink(missing_ok=True)
            lock.close()

    def _refuse_taken(self, port: int) -> None:
        if not is_port_free(port):
            other = next_free_port(port)
            raise CommandError(f"Port {port} is taken by another program; choose another one: make demo PORT={other}")

    def _stream_port(self, port: int) -> int:
        stream_port = next_free_port(port)
        if stream_port == port:
            raise CommandError(f"No port after {port} is free for the stream; choose a lower one: make demo PORT=8000")
        if stream_port != port + 1:
            self._say(f"Port {port + 1} is taken by another program, so the stream listens at {stream_port}.")
        return stream_port

    def _prepare(self) -> None:
        embedded = not settings.ENV.DATABASE_URL
        self._say("Preparing the database ..." if not embedded else "Preparing the database, SQLite in var/ ...")
        call_command("migrate", verbosity=0, interactive=False)
        is_new = not Project.objects.exists()
        if embedded and not is_new and not (self.var / "demo.json").exists():
            raise CommandError("An earlier start was interrupted while it loaded the demo. Run make demo-reset first.")
        self._say("Loading the demo ..." if is_new else "Going on with the data of the last run ...")
        facts = {"base_url": self.base_url, "stream_url": self.stream_url}
        call_command("load_demo", **facts, verbosity=0, stdout=StringIO())
        connections.close_all()

    def _run(self, port: int) -> None:
        crew = Crew(settings.BASE_DIR, _environment(self.stream_url), self.var / "log", self._say)
        try:
            self._say("Starting web, stream, worker and beat ...")
            for program in _servers(port, self.stream_url.rpartition(":")[2]):
                crew.start(program)
            crew.wait_until_it_answers(f"{self.base_url}/admin/login/", seconds=READY_SECONDS)
            crew.wait_until_it_answers(f"{self.stream_url}/healthz/ready", seconds=READY_SECONDS)
            self._welcome()
            crew.start(_sample_service(self.var / "demo.json"))
            crew.watch()
        except Died as death:
            raise CommandError(f"{death}\nThe end of {death.log}:\n{death.last_lines()}") from None
        except TimeoutError as error:
            raise CommandError(str(error)) from None
        finally:
            for ending in ENDINGS:
                signal.signal(ending, signal.SIG_IGN)
            self._say("\nStopping everything, which takes a few seconds ...")
            crew.stop()

    def _welcome(self) -> None:
        accounts = json.loads((self.var / "demo.json").read_text())["accounts"]
        rows = [("name", "password", "role"), *((row["name"], row["password"], row["role"]) for row in accounts)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        self._say(f"\nFlagsite is running: {self.base_url}/   Changes are streamed from {self.stream_url}\n")
        for row in rows:
            self._say("  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        self._say(
            "\nSign in as mira, open checkout-redesign in production, propose 25 % and submit."
            "\nThen sign in as ben and approve: the lines of the sample service below change."
            "\nRollout plans shows one that moves by itself while its guards watch what the sample service reports."
            f"\nLogs are in {self.var / 'log'}. Ctrl-C stops everything; the data stays.\n"
        )

    def _say(self, line: str) -> None:
        self.stdout.write(f"{line}\n")
        self.stdout.flush()


def _servers(port: int, stream_port: str) -> list[Program]:
    listens = ("--host", HOST, "--port", str(port), "--no-ws")
    sizes = ("--workers", "1", "--blocking-threads", "4", "--workers-kill-timeout", "3")
    celery = ("celery", "-A", "flagsite")
    return [
        Program("web", ("granian", "flagsite.wsgi:application", "--interface", "wsgi", *listens, *sizes)),
        Program("stream", ("manage", "stream", "--host", HOST, "--port", stream_port)),
        Program("worker", (*celery, "worker", "-c", "1", "--without-gossip", "--without-mingle", "-l", "INFO")),
        Program("beat", (*celery, "beat", "--pidfile=", "-l", "INFO")),
    ]


def _sample_service(facts: Path) -> Program:
    return Program("sample-service", ("flagsite.demo.sample_service", str(facts)), is_shown=True)


def _environment(stream_url: str) -> dict[str, str]:
    # Lines reach the logs when they are written, not when a buffer is full.
    ours = {"DEMO": "1", "PYTHONUNBUFFERED": "1", "VAR_DIR": str(settings.ENV.VAR_DIR), "STREAM_URL": stream_url}
    return {**os.environ, **ours}


def _lock(var: Path) -> IO[str]:
    """One demo per folder: the lock goes with the process, however it ends."""
    var.mkdir(parents=True, exist_ok=True)
    file = (var / "demo.pid").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip()
        raise CommandError(
            f"The demo is already running (process {owner}). Use it, or stop it there with Ctrl-C first."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= 65_535:
        raise ArgumentTypeError(f"{value} is not a port; use a number from 1024 to 65535, as in make demo PORT=8001")
    return int(value)
