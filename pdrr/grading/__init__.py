"""What teachers run: assignments built, submissions graded."""
