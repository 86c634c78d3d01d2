"""Who did what to whose record: every entry of every context, kept and searchable."""
