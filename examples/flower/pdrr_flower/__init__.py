"""A federation under attack: handwritten digits, some clients that lie, and PDRR."""
