"""How the programs of others are configured and started on this machine, as pure functions: tests and `make up` alike."""
