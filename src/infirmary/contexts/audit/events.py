"""What audit announces: nothing. Entries arrive here as `kernel.audit.Audited`."""
