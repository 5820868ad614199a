"""What a passenger sees and touches. The only place that knows PySide6; everything else runs without it."""
