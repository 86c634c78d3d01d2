"""What every context is built on. Generic: it does not know what for."""
