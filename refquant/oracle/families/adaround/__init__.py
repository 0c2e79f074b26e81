"""AdaRound: decision variables, soft and hard weights, regulariser, schedules, a whole step."""
