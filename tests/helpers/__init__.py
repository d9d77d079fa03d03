"""What tests share: oracles, a miniature federation, made-up records."""
