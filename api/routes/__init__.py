"""One file per read model: what is asked, in which shape it is answered."""
