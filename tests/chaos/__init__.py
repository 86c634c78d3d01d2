"""Processes killed and frozen under load; a history that an offline judge reads."""
