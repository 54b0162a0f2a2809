"""The stream: tells open pages and services that flags changed, so that they ask again. Carries no flags itself.

`app` speaks ASGI, `doors` says who comes in, `hub` keeps the open streams and tells them, `events` is the wire format.
"""
