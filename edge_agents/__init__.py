"""Programs that run on devices: observe, spool, send. They speak HTTP only and may import nothing but `schemas`."""
