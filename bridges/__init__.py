"""Where do events go? The delivery runtime, the sinks and `manage.py consume`."""
