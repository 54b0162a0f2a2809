"""`manage.py stream`: the process that tells open pages and services that flags changed."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from flags.streams.hub import Limits
from flags.streams.running import make_application, make_server, raise_file_limit


class Command(BaseCommand):
    """Serves `/api/v1/stream` until it is stopped."""

    help = "Serve change notices at /api/v1/stream. SIGTERM or Ctrl-C ends all streams and then the process."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen and how many to listen to."""
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen at; 0.0.0.0 for all.")
        parser.add_argument("--port", type=_number, default=8001)
        parser.add_argument("--streams", type=_number, default=Limits().streams, help="Most open streams.")
        parser.add_argument(
            "--streams-per-token",
            type=_number,
            default=Limits().streams_per_token,
            help="Most with one token; never more than half of --streams.",
        )
        parser.add_argument(
            "--streams-per-address",
            type=_number_or_none,
            default=Limits().streams_per_address,
            help="Most with tickets of one token from one public address; 0: any number.",
        )

    def handle(self, *args: Any, host: str, port: int, streams: int, **options: Any) -> None:
        """Serve."""
        allowed = raise_file_limit(streams)
        if allowed < streams:
            self.stderr.write(
                f"This system lets a process open too few files for {streams:,} streams, so it keeps {allowed:,}. "
                "Raise the limit of open files (ulimit -n) for more."
            )
        limits = Limits(allowed, options["streams_per_token"], options["streams_per_address"])
        self.stdout.write(
            f"Streams are at http://{host}:{port}/api/v1/stream, at most {limits.streams:,} at a time, "
            f"{limits.of_one_token:,} of them with one token."
        )
        make_server(make_application(limits), host=host, port=port).run()


def _number_or_none(value: str) -> int:
    return 0 if value == "0" else _number(value)


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= 1_000_000:
        raise ArgumentTypeError(f"{value} is not a number from 1 to 1000000")
    return int(value)
