"""Requests nobody should send. Where a body can carry a value, it carries the marker, which must turn up nowhere."""

MARKER = "Planted-Marker-7f3a"
_M = MARKER.encode()


def _context(inner: bytes) -> bytes:
    return b'{"context":{"secret":"' + _M + b'","a":' + inner + b"}}"


PARSE_ERROR: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \n ",
    "no json": _M,
    "cut off": b'{"context":{"secret":"' + _M,
    "cut off escape": b'{"context":{"secret":"' + _M + b"\\",
    "trailing comma": _context(b"1,"),
    "trailing text": _context(b"1") + _M,
    "two documents": _context(b"1") * 2,
    "single quotes": b"{'context':{'secret':'" + _M + b"'}}",
    "comment": _context(b"1/*" + _M + b"*/"),
    "bare word": _context(_M),
    "control character": _context(b'"\x00' + _M + b'"'),
    "byte order mark": b"\xef\xbb\xbf" + _context(b"1"),
    "utf-16": (b'{"context":{"secret":"' + _M + b'"}}').decode().encode("utf-16"),
    "utf-32": (b'{"context":{"secret":"' + _M + b'"}}').decode().encode("utf-32"),
    "invalid utf-8": _context(b'"\xff\xfe"'),
    "overlong utf-8": _context(b'"\xc0\xaf"'),
    "utf-8 surrogate": _context(b'"\xed\xa0\x80"'),
    "nan": _context(b"NaN"),
    "infinity": _context(b"Infinity"),
    "minus infinity": _context(b"-Infinity"),
    "beyond floating point": _context(b"1e400"),
    "minus beyond floating point": _context(b"-1E+400"),
    "very long integer": _context(b"9" * 5_000),
    "lone high surrogate": _context(b'"\\ud800"'),
    "lone low surrogate": _context(b'"\\uDC00"'),
    "reversed surrogates": _context(b'"\\ude00\\ud83d"'),
    "lone surrogate in a key": b'{"context":{"\\ud800":"' + _M + b'"}}',
    "lone surrogate in the targeting key": b'{"context":{"targetingKey":"' + _M + b'\\udfff"}}',
    "nested arrays": _context(b"[" * 10_000 + b"]" * 10_000),
    "nested objects": _context(b'{"b":' * 10_000 + b"1" + b"}" * 10_000),
    "nested and never closed": _context(b"[" * 10_000),
    "nested from the top": b"[" * 10_000,
    "just too deep": _context(b"[" * 31 + b"]" * 31),
}
INVALID_CONTEXT: dict[str, bytes] = {
    "null": b"null",
    "number": b"1",
    "text": b'"' + _M + b'"',
    "array": b'["' + _M + b'"]',
    "no context": b'{"secret":"' + _M + b'"}',
    "context is null": b'{"context":null}',
    "context is a number": b'{"context":0}',
    "context is true": b'{"context":true}',
    "context is a text": b'{"context":"' + _M + b'"}',
    "context is an array": b'{"context":["' + _M + b'"]}',
    "targeting key is a number": b'{"context":{"targetingKey":1,"secret":"' + _M + b'"}}',
    "targeting key is false": b'{"context":{"targetingKey":false}}',
    "targeting key is an array": b'{"context":{"targetingKey":["' + _M + b'"]}}',
    "targeting key is an object": b'{"context":{"targetingKey":{"a":"' + _M + b'"}}}',
    "too many keys": b'{"context":{' + b",".join(b'"k%d":"%s"' % (n, _M) for n in range(1_100)) + b"}}",
}
CONTENT_TYPES = (
    "text/plain",
    "text/json",
    "application/jsonp",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json; charset=zlib_codec",
    "application/json; charset=bz2",
    "application/json; charset=rot13",
    "application/json; charset=idna",
    "application/json; charset=",
    'application/json; charset="utf-7"',
    "application/json; charset=utf-8; charset=hex",
    "application/json, application/json",
    "application/json\x00",
    "*/*",
    "é",
)
CONTENT_ENCODINGS = ("gzip", "deflate", "br", "zstd", "GZIP", "gzip, gzip", "identity, gzip", "é")
