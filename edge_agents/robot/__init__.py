"""A train's robot: it checks tickets, greets passengers, shows places and shops, and watches over the wagon."""
