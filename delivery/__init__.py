"""What takes a commit to a public address: version, release, deployment and smoke test."""
