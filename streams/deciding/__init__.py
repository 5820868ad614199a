"""The runtime of deciders: one transaction a batch of commands, exactly once under any crash."""
