"""Event -> events: pure processors, their Faust runtime, and the reader of the log. Knows Kafka, no database."""
