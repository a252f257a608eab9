"""Generated from proto/ by deploy/protos.py; not to be edited."""
