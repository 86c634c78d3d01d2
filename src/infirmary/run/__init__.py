"""How the hospital runs: the only place that knows how many processes there are."""
