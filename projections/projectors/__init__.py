"""Read models, one file each: tables, views and how an event becomes rows. They do not know each other."""
