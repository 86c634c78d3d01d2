"""The one door: Envoy, with a configuration made from the contracts and kept in step with the registry."""
