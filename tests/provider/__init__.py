"""Providers of OpenID Connect: a real one as a process of its own, and one that says whatever a test wants."""
