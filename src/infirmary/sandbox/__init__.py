"""What stands in for the world outside: in the demo and in tests, with switches for the faults of the real one."""
