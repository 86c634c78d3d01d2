"""What strangers send: schema-based fuzzing, nonsense, forged tokens."""
