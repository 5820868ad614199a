"""Looking at video: finding people, following them, telling agitation. Pure parts; files and models at the edge."""
