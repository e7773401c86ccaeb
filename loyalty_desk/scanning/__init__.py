"""Scanners: camera, serial port, keyboard and files, all ending in one event. No Qt; heavy libraries load late."""
