"""A real Kafka and a real PostgreSQL out of registry packages, run as child processes under one home."""
