"""Read functions, one file per read model: plain parameters in, plain rows out. Reads PostgreSQL, never writes."""
