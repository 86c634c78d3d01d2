"""The register: who our patients are and how to reach them."""
