"""What students import: a federation for the classroom, a contest, figures of them."""

from pdrr.classroom.game import Aggregate, Attack, Classroom, Game

__all__ = ["Aggregate", "Attack", "Classroom", "Game"]
