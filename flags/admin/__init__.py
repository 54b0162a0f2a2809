"""The admin of `flags`. The composition root imports every module here, so that its pages are registered."""
