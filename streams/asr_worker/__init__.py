"""Speech recognition on another machine: leases dialogues over HTTP, hears them in a child, sends what was said.

Needs the server's address and INTERNAL_TOKEN, nothing of Kafka, Avro or the key ring (extra `asr`).
"""
