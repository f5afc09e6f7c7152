"""Requests and answers of each protocol as bytes: pure functions, nothing of HTTP but content types."""
