"""The package by the name that seed 004's scripts import: `from app.db import db, scenario_crud`."""
