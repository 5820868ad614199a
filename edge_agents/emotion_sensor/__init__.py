"""The emotion sensor: faces in front of a camera become valence and arousal points that survive any outage."""
