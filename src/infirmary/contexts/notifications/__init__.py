"""Telling people: the inbox in the app, e-mail, and a log of what was delivered."""
