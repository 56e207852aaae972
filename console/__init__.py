"""The door for people and services: pages, read API, live stream."""
