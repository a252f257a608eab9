"""Control: what decides where and when the work is done."""
