"""The paper's words against the records."""
