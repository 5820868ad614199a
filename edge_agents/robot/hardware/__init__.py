"""What hangs on the robot's serial line: the board, and the map it drives by."""
