"""The one exception handler of the API: every error is an RFC 9457 problem with a stable code."""
