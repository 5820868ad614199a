"""What everyone agrees on: events, topics, their Avro form and errors. Imports no other room."""
