"""The railway's servers: base, store and faces, each an app of its own under its prefix."""
