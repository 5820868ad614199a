"""What surrounds a pure step: Faust for group membership and reading, and the promises that Faust does not make.

Faust acknowledges nothing here. A position is committed only when every output of everything before it was
acknowledged by all in-sync replicas, and a worker starts from what Kafka says was committed, not from what Faust hands
over first.
"""
