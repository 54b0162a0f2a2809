"""Requests that nothing here can read: charsets nobody uses, NUL characters, session cookies nobody handed out."""

import codecs
import encodings
import io
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client
from structlog.testing import capture_logs

from flagsite.wsgi import application

pytestmark = pytest.mark.django_db

PATHS = ("/healthz/live", "/admin/login/", "/api/v1/audit-events", "/ofrep/v1/evaluate/flags")
REFUSED = ("zlib", "rot13", "base64", "undefined", "punycode", "idna", "unicode_escape", "utf-7", "utf-16", "no-such")
ADDRESSES = ("/admin/", "/admin/login/", "/api/v1/audit-events", "/admin/search/", "/admin/access/")


def ask(path: str, **environ: Any) -> tuple[int, dict[str, str], bytes]:
    """The answer of the application itself, as a server would call it."""
    answer: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        answer.update(status=int(status[:3]), headers=dict(headers))

    given = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "next=a%20b",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        **environ,
    }
    body = b"".join(application(given, start_response))
    return answer["status"], answer["headers"], body


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("charset", [*REFUSED, "", "x\x00"])
def test_application__charset_nobody_uses__answers_a_problem(path: str, charset: str) -> None:
    status, headers, body = ask(path, CONTENT_TYPE=f'text/plain; charset="{charset}"')
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert json.loads(body)["code"] == "bad_request"


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", "us-ascii", "latin-1", "ISO-8859-1"])
def test_application__usual_charset__answers(charset: str) -> None:
    assert ask("/healthz/live", CONTENT_TYPE=f"text/plain; charset={charset}")[0] == 200


@pytest.mark.parametrize("content_type", ["", ";;;", "text/plain; charset*=utf-8''zlib", "text/plain; charset"])
def test_application__odd_content_type__never_raises(content_type: str) -> None:
    assert ask("/healthz/live", CONTENT_TYPE=content_type)[0] in {200, 400}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["flags.example.org", "no host\n\x1b[31m" + "x" * 5_000], ids=["name", "nonsense"])
def test_application__host_that_is_not_served__is_one_short_line_and_says_what_to_do(
    path: str, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"), capture_logs() as lines:
        status, headers, body = ask(path, HTTP_HOST=host)

    assert status == 400
    assert b"add it to ALLOWED_HOSTS" in body
    is_page = path.startswith("/admin/")
    assert headers["Content-Type"].split(";")[0] == ("text/plain" if is_page else "application/problem+json")
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("host_not_served", "warning")
    assert line["host"].isprintable()
    assert len(line["host"]) < 120
    # Nor does the framework write one, with a traceback.
    assert caplog.records == []


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("query", ["s=%00", "%00=s", "a=1&term=x%00", "s=\x00"])
def test_middleware__nul_in_query__is_refused(address: str, query: str) -> None:
    assert Client().get(address, QUERY_STRING=query).status_code == 400


@pytest.mark.parametrize(
    "address", ["/admin/flags/flag/%00/change/", "/api/%00", "/ofrep/v1/evaluate/flags/%00", "/%00"]
)
def test_middleware__nul_in_path__is_refused(address: str) -> None:
    assert Client().get(address).status_code == 400


def test_middleware__percent_sign_before_zeros__is_no_nul() -> None:
    assert Client().get("/healthz/live?s=%2500").status_code == 200


@pytest.mark.parametrize("address", ["/admin/", "/admin/login/", "/api/v1/audit-events"])
@pytest.mark.parametrize("cookie", ['"\\000aaaaaaaaaaaa"', '"\\355\\240\\200aaaaaaaaaaaa"', "A" * 32, "a-b", "'"])
def test_middleware__session_cookie_nobody_handed_out__is_forgotten(address: str, cookie: str) -> None:
    response = Client().get(address, HTTP_COOKIE=f"sessionid={cookie}")
    assert response.status_code == Client().get(address).status_code


NAME = "nosuchcodec{}"
BOUNDARY = "multipart/form-data; boundary=b"
PART = f"--b\r\nContent-Disposition: form-data; name=a; filename*={NAME}''x\r\n\r\ny\r\n--b--\r\n"
NAMING: dict[str, Mapping[str, str]] = {
    "charset": {"CONTENT_TYPE": f"text/plain; charset={NAME}"},
    "quoted": {"CONTENT_TYPE": f'text/plain; charset="{NAME}"'},
    "extended": {"CONTENT_TYPE": f"text/plain; charset*={NAME}''utf-8"},
    "other parameter": {"CONTENT_TYPE": f"text/plain; a*={NAME}''b"},
    "continued": {"CONTENT_TYPE": f"text/plain; a*0*={NAME}''b"},
    "accept": {"HTTP_ACCEPT": f"text/html; a*={NAME}''b"},
    "underscore": {"HTTP_CONTENT_TYPE": f"text/plain; a*={NAME}''b"},
    "multipart": {"CONTENT_TYPE": BOUNDARY, "body": PART, "HTTP_COOKIE": "csrftoken=" + "a" * 32},
}


def _remembered() -> set[str]:
    kept: Mapping[str, object] = vars(encodings)["_cache"]
    return {name for name in kept if "nosuchcodec" in name}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", NAMING)
def test_application__charset_that_does_not_exist__is_remembered_nowhere(way: str, method: str) -> None:
    for number, path in enumerate((*PATHS, "/api/v1/schema/")):
        given = {name: value.replace("{}", str(number)) for name, value in NAMING[way].items()}
        body = given.pop("body", "").encode()
        ask(path, REQUEST_METHOD=method, CONTENT_LENGTH=str(len(body)), **given, **{"wsgi.input": io.BytesIO(body)})

    assert _remembered() == set()


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "Latin_1", "cp1252", "iso8859-15", "idna", "utf_8_sig", "koi8-r"])
def test_codecs__that_exist__are_found(name: str) -> None:
    assert codecs.lookup(name).name


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content_type", ["text/plain" + ";a=b" * 60_000, "x" * 257, "text/plain; charset=" + "utf-8" * 30_000]
)
def test_application__endless_content_type__is_refused_at_once(path: str, content_type: str) -> None:
    started = time.process_time()
    status, headers, body = ask(path, CONTENT_TYPE=content_type)
    seconds = time.process_time() - started

    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert "256 characters" in json.loads(body)["detail"]
    assert seconds < 0.2


@pytest.mark.parametrize("boundary", ["-" * 70, "----WebKitFormBoundary7MA4YWxkTrZu0gW"])
def test_application__boundary_of_a_browser__is_read(boundary: str) -> None:
    assert ask("/healthz/live", CONTENT_TYPE=f"multipart/form-data; boundary={boundary}")[0] == 200
