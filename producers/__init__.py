"""Enter the log: the HTTP gateway and the Kafka publisher. Knows Kafka and the schemas, nothing else."""
