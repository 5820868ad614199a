"""Processors: one file each, pure functions `event, state -> state, events`. They know no Kafka and not each other."""
