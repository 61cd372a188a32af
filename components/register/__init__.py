"""The register step: decides by the gate, and registers the candidate."""
