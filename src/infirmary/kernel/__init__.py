"""What every context is built on. Generic: no word of the hospital appears here."""
