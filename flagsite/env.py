"""Typed environment variables. A value that cannot be used stops the process with a sentence that says why.

`docs/configuration.md` lists every field; a test holds the two together.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import dj_database_url
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from flagsite.private import PrivateConnection, make_private_folder
from rollouts.retention.classes import retention_of

BASE_DIR = Path(__file__).resolve().parent.parent

Names = Annotated[tuple[str, ...], NoDecode]


class ConfigurationError(SystemExit):
    """An environment variable holds a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails go; the backend without a host drops them."""

    backend: str
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    is_tls: bool = False
    begins_tls: bool = False


class Environment(BaseSettings):
    """Everything the process reads from its environment."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=True)

    DEBUG: bool = Field(default=False, description="Show tracebacks in the browser. Never in production.")
    DEMO: bool = Field(default=False, description="Demo mode: built-in secret key, demo accounts, loopback only.")
    SECRET_KEY: str = Field(default="", description="Signs sessions and forms. 50 random characters or more.")
    ALLOWED_HOSTS: Names = Field(
        default=("localhost", "127.0.0.1", "[::1]"), description="Hosts served, comma-separated."
    )
    CSRF_TRUSTED_ORIGINS: Names = Field(default=(), description="Origins behind a TLS proxy, with scheme.")
    HTTPS: bool = Field(default=False, description="Served over TLS: secure cookies, HSTS, redirect to https.")
    DATABASE_URL: str = Field(default="", description="postgres://user@host/name; empty means SQLite in VAR_DIR.")
    DATABASE_POOL_SIZE: int = Field(default=8, ge=1, le=200, description="Most PostgreSQL connections a process.")
    REDIS_URL: str = Field(default="", description="redis://host:6379/0, broker and cache; empty: none is needed.")
    VAR_DIR: Path = Field(default=BASE_DIR / "var", description="The only folder the embedded arrangement writes to.")
    STATIC_ROOT: Path = Field(default=BASE_DIR / "staticfiles", description="Where collectstatic puts files.")
    TIME_ZONE: str = Field(default="UTC", description="Zone in which the admin shows instants; UTC is stored.")
    LOG_LEVEL: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    LOG_JSON: bool = Field(default=False, description="One JSON object per log line instead of readable text.")
    SNAPSHOT_POLL_SECONDS: float = Field(
        default=0.5, ge=0.1, le=60, description="How often a process looks for changed flags, in seconds."
    )
    SNAPSHOT_FILE: str = Field(
        default="", description="Signed copy of the flags, to start from without stores; empty: VAR_DIR/snapshots.json."
    )
    STALE_AFTER_SECONDS: float = Field(
        default=10.0, ge=1, le=3600, description="After how long without its stores a process calls its answers stale."
    )
    KILL_LIST: str = Field(
        default="", description="Forced variants: project/environment/flag=variant, comma-separated."
    )
    KILL_LIST_FILE: str = Field(
        default="", description="File with forced variants, read every second; empty: VAR_DIR/kill-list."
    )
    STREAM_URL: str = Field(default="", description="Where browsers reach the stream process; empty: streams are off.")
    EVALUATION_RATE_LIMIT: int = Field(
        default=600_000, ge=0, le=1_000_000_000, description="Evaluation requests per token and minute; 0: no limit."
    )
    CORS_ALLOWED_ORIGINS: Names = Field(
        default=("*",), description="Origins whose pages may evaluate, comma-separated; * is every one."
    )
    METRICS_TOKEN: str = Field(
        default="", description="What Prometheus sends to read /metrics; empty: /metrics is off."
    )
    OTEL_ENABLED: bool = Field(default=False, description="Send OpenTelemetry traces; needs the extra `otel`.")
    EMAIL_URL: str = Field(default="", description="smtp://user:password@host:587, smtps:// for TLS; empty: no mail.")
    EMAIL_FROM: str = Field(default="flagsite@localhost", description="Sender of mails.")
    SITE_URL: str = Field(default="", description="Address of the admin in mails: https://flags.example.org.")
    BREAK_GLASS_REVIEW_HOURS: int = Field(
        default=24, ge=1, le=336, description="How soon a use of break-glass has to be reviewed, in hours."
    )
    DRIFT_AFTER_HOURS: int = Field(
        default=72,
        ge=1,
        le=8760,
        description="How long neighbouring environments may differ before somebody has to say why, in hours.",
    )
    TELEMETRY_LATENESS_SECONDS: int = Field(
        default=20,
        ge=0,
        le=600,
        description="How long after its end a minute of telemetry still takes reports, in seconds.",
    )
    PROMETHEUS_URL: str = Field(
        default="", description="The Prometheus that guards and checks of plans may ask; empty: none is asked."
    )
    PROBE_ALLOWED_HOSTS: Names = Field(
        default=(), description="Hosts in private networks that checks of plans may ask, comma-separated."
    )
    ARCHIVE_DIR: str = Field(default="", description="Where archive_payloads writes its files; empty: VAR_DIR/archive.")
    RETENTION: str = Field(
        default="", description="Days that payloads stay in the database, by class: versions=800,rounds=400."
    )
    SWEEP_SECONDS: float = Field(default=5.0, ge=0.5, le=300, description="How often to look for due work, in seconds.")
    SESSION_HOURS: int = Field(default=8, ge=1, le=24, description="Length of an admin session, in hours.")

    @field_validator(
        "ALLOWED_HOSTS", "CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS", "PROBE_ALLOWED_HOSTS", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("LOG_LEVEL")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("use DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("REDIS_URL")
    @classmethod
    def _redis_address(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://")):
            raise ValueError("use redis://host:6379/0, rediss:// for TLS, or leave it empty")
        return value

    @field_validator("STREAM_URL")
    @classmethod
    def _stream_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("use https://stream.example.org, without user, query or fragment, or leave it empty")
        return value

    @field_validator("PROMETHEUS_URL")
    @classmethod
    def _prometheus_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError(
                "use http://prometheus.example.org:9090, without user, query or fragment, or leave it empty"
            )
        return value

    @field_validator("SITE_URL")
    @classmethod
    def _site_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+", value):
            raise ValueError("use https://flags.example.org, without path, or leave it empty")
        return value

    @field_validator("EMAIL_URL")
    @classmethod
    def _mail_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"smtps?://([^\s/?#@:]+(:[^\s/?#@]+)?@)?[^\s/?#@:]+(:\d{1,5})?", value):
            raise ValueError("use smtp://user:password@host:587, smtps:// for TLS from the start, or leave it empty")
        return value

    @field_validator("RETENTION")
    @classmethod
    def _known_classes(cls, value: str) -> str:
        retention_of(value)
        return value

    @field_validator("TIME_ZONE")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError):
            raise ValueError("use a name of the time zone database, such as UTC or Europe/Berlin") from None
        return value

    @cached_property
    def mail(self) -> "MailServer":
        """The mail server. Whoever sends a user over smtp:// begins TLS first."""
        if not self.EMAIL_URL:
            return MailServer("django.core.mail.backends.dummy.EmailBackend")
        parts = urlsplit(self.EMAIL_URL)
        is_tls = parts.scheme == "smtps"
        return MailServer(
            "django.core.mail.backends.smtp.EmailBackend",
            parts.hostname or "",
            parts.port or (465 if is_tls else 25),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            is_tls,
            bool(parts.username) and not is_tls,
        )

    @cached_property
    def databases(self) -> dict[str, Any]:
        """The DATABASES setting: PostgreSQL with a pool, or SQLite in WAL mode with immediate transactions."""
        if not self.DATABASE_URL:
            make_folders(self.VAR_DIR)
            return {"default": _sqlite(str(self.VAR_DIR / "flagsite.sqlite3"))}
        try:
            parsed: dict[str, Any] = dict(dj_database_url.parse(self.DATABASE_URL))
        except ValueError as error:
            raise ConfigurationError(f"DATABASE_URL cannot be used: {error}. Use postgres://user@host/name.") from error
        if parsed["ENGINE"] == "django.db.backends.sqlite3":
            return {"default": _sqlite(parsed["NAME"])}
        if parsed["ENGINE"] != "django.db.backends.postgresql":
            raise ConfigurationError(
                "DATABASE_URL must name a PostgreSQL or SQLite database: postgres:// or sqlite://."
            )
        parsed["CONN_MAX_AGE"] = 0
        # A connection that died with its server is not handed out once the server is back.
        parsed["CONN_HEALTH_CHECKS"] = True
        pool = {"min_size": 1, "max_size": self.DATABASE_POOL_SIZE, "timeout": 20}
        parsed["OPTIONS"] = {**parsed.get("OPTIONS", {}), "pool": pool}
        return {"default": parsed}


def _sqlite(name: str) -> dict[str, Any]:
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000; PRAGMA foreign_keys=ON;"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": pragmas,
            "factory": PrivateConnection,
        },
    }


def make_folders(*folders: Path) -> None:
    """Create folders of VAR_DIR for this user alone; raise ConfigurationError where that is not allowed."""
    try:
        for folder in folders:
            make_private_folder(folder)
    except OSError as error:
        raise ConfigurationError(
            f"VAR_DIR cannot be used: {error}. Set it to a folder that Flagsite may write to."
        ) from error


def read() -> Environment:
    """Read the environment once; raise ConfigurationError naming every variable that cannot be used."""
    try:
        return Environment()
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ConfigurationError(
            "Flagsite cannot start: these environment variables hold values that cannot be used.\n"
            + "\n".join(lines)
            + "\nSee docs/configuration.md."
        ) from None
