"""The composition root and the command line: settings, embedded servers, supervisor, operations."""
