"""The process `orchestrator`: time for scenarios. Another attempt when its pause is over, an end of silent runs."""
