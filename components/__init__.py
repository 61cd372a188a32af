"""Everything that runs outside of the serving pod: the pipeline's steps, what they share, and operations."""
