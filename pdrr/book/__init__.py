"""What notebooks and pages call: figures, tables, pages."""
