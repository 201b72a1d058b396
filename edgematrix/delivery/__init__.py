"""Delivery from end to end as pure machines: what a sender keeps until it is acknowledged, and what a receiver has had."""
