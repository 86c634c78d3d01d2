"""Guessing passwords, over HTTP, from one address and from a thousand."""
